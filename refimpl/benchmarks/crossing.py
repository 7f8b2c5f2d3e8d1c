"""Models across frameworks and back: Keras' architectures to PyTorch and JAX, models of torch to Keras and JAX.

    python refimpl/benchmarks/crossing.py [--from keras|torch] [--to torch|jax|keras] [--write] [NAME ...]

A line for each model and framework, with the largest difference or the reason why it is refused. The exit code is 1 if
one differs. `--write` puts the tables into `refimpl/docs/crossing.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# A process has one backend of Keras. TensorFlow computes without compiling first, which for one prediction of a large
# model is what takes the time; models of torch have the channels first, which it does not add right (see the page).
BACKENDS = {"keras": "tensorflow", "torch": "jax"}
PAGE = Path(__file__).parents[1] / "docs" / "crossing.md"


def run(source: str, to: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Cross the models of one framework, and print a line for each crossing.

    Args:
        source: the framework.
        to: frameworks to cross to; everywhere if empty.
        names: of models; all of this framework if empty.

    Returns:
        The crossings as maps, their verdicts, and the gap that tells the backend of Keras.
    """
    os.environ["KERAS_BACKEND"] = BACKENDS[source]
    import torch

    # On some processors oneDNN's convolutions crash; torch's own give the same to rounding.
    torch.backends.mkldnn.enabled = False
    script = import_module(f"crossing_{source}")
    found = []
    for name in [name for name in _known(source) if not names or name in names]:
        start = time.perf_counter()
        for one in script.crossings(name, [target for target in script.TARGETS if not to or target in to]):
            seconds, start = time.perf_counter() - start, time.perf_counter()
            figures = one.refusal or f"{one.difference:.1e}"
            print(f"{source:6} {name:32} {one.target:6} {one.verdict:9}{seconds:6.1f} s  {figures}", flush=True)
            found.append(one)
    gap = import_module("crossing_keras").bias_beside_width()
    return {"rows": [asdict(one) for one in found], "verdicts": Counter(one.verdict for one in found), "gap": gap}


def _known(source: str) -> list[str]:
    return list(import_module("architectures").SIZES if source == "keras" else import_module("torch_models").MODELS)


def _apart(source: str, to: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """The same in a process of its own, as each framework wants another backend of Keras."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        wanted = [f"--to={one}" for one in to]
        subprocess.run([sys.executable, __file__, "--from", source, *wanted, "--record", record, *names], check=True)
        return dict(json.loads(record.read_text()))


def _write(records: dict[str, dict[str, Any]]) -> None:
    page = import_module("crossing_page")
    rows = {
        source: [import_module(f"crossing_{source}").Crossing(**one) for one in record["rows"]]
        for source, record in records.items()
    }
    PAGE.write_text(page.page(*rows.values(), {BACKENDS[source]: one["gap"] for source, one in records.items()}))


def main() -> int:
    """Print the lines, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from", dest="source", choices=list(BACKENDS), help="the framework of the models; both")
    parser.add_argument("--to", action="append", choices=["torch", "jax", "keras"], help="where to; everywhere")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    parser.add_argument("--record", type=Path, help="a file for the figures as JSON")
    parser.add_argument("names", nargs="*", metavar="NAME", help="models; by default all")
    options = parser.parse_args()
    sources = [options.source] if options.source else list(BACKENDS)
    unknown = set(options.names) - {name for source in sources for name in _known(source)}
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    if options.write and (options.names or options.source or options.to):
        parser.error("--write is for all models")
    each = run if options.source else _apart
    records = {}
    for source in sources:
        names = [name for name in _known(source) if name in options.names]
        if names or not options.names:
            records[source] = each(source, options.to or [], names)
    if options.record:
        options.record.write_text(json.dumps(records[sources[0]]))
        return 0
    verdicts = sum((Counter(record["verdicts"]) for record in records.values()), Counter[str]())
    print(", ".join(f"{number} {word}" for word, number in verdicts.items()))
    if options.write and not verdicts["DIFFERS"]:
        _write(records)
    return min(verdicts["DIFFERS"], 1)


if __name__ == "__main__":
    sys.exit(main())
