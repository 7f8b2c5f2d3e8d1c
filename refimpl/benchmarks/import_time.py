"""Time of `import etui`, alone and with all its public names resolved, as a ratio to `import numpy`, in one run.

python refimpl/benchmarks/import_time.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

CANDIDATES = {
    "import numpy": "import numpy",
    "import etui": "import etui",
    "every public name": "import etui\nfor name in etui.__all__: getattr(etui, name)",
}


def main() -> int:
    """Run whole interpreters, interleaved, less the time of an empty one, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in ("", *CANDIDATES)}
    for round_number in range(options.repeats + 1):
        for name, found in seconds.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", CANDIDATES.get(name, "")], check=True)
            if round_number:
                found.append(time.perf_counter() - start)
    empty = statistics.median(seconds.pop(""))
    medians = {name: statistics.median(times) - empty for name, times in seconds.items()}
    for name, value in medians.items():
        print(f"{name:<20} {value * 1000:8.1f} ms   {value / medians['import numpy']:.2f} x import numpy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
