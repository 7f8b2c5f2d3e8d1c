"""Speed of CRC-32 and SHA-256 by the packages that offer them, of one thread and of several.

    python -m pip install "etui[fast]" zlib-ng deflate cryptography   # each is left out where it is not installed
    python refimpl/benchmarks/kernels.py [--repeats 7] [--json]

Etui takes the CRC-32 of `isal` where it is installed, else zlib's, and the SHA-256 of hashlib. Each figure is the best
of several interleaved rounds in GB/s, over 64 MiB in memory that are cut into pieces of the size that the column says;
that of several threads shows whether a package lets Python's lock go.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import platform
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from etui.storage.digesting import thread_count

MIB = 1024 * 1024
TOTAL = 64 * MIB
# A tiny tensor, one just beyond what is hashed beside nothing else, and a slice of a large one.
PIECES = {"256 B": 256, "64 KiB": 64 * 1024, "4 MiB": 4 * MIB}
# Tiny pieces measure the call; a few are enough.
MOST_CALLS = 16384

Kernel = Callable[[memoryview], object]


def kernels() -> dict[str, Kernel]:
    """The kernels that are installed, each checked against Python's own."""
    found: dict[str, Kernel] = {"CRC-32 zlib": zlib.crc32}
    for name, module in (("isal", "isal.isal_zlib"), ("zlib-ng", "zlib_ng.zlib_ng"), ("deflate", "deflate")):
        try:
            found[f"CRC-32 {name}"] = importlib.import_module(module).crc32
        except ImportError:
            continue
    found["SHA-256 hashlib"] = lambda data: hashlib.sha256(data).digest()
    try:
        hashes = importlib.import_module("cryptography.hazmat.primitives.hashes")
    except ImportError:
        pass
    else:
        found["SHA-256 cryptography"] = lambda data: _digest(hashes, data)
    sample = memoryview(bytes(range(256)) * 300)
    for name, kernel in found.items():
        expected: object = zlib.crc32(sample) if name.startswith("CRC") else hashlib.sha256(sample).digest()
        if kernel(sample) != expected:
            raise SystemExit(f"{name} gives another value")
    return found


def _digest(hashes: Any, data: memoryview) -> bytes:
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(data)
    value: bytes = hasher.finalize()
    return value


def rate(kernel: Kernel, data: memoryview, piece: int, threads: int) -> float:
    """Bytes per nanosecond of `threads` threads that share `data`."""
    calls = min(len(data) // piece, MOST_CALLS) // threads

    def work(number: int) -> None:
        for call in range(number * calls, (number + 1) * calls):
            kernel(data[call * piece : (call + 1) * piece])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return calls * threads * piece / (time.perf_counter() - start) / 1e9


def measure(repeats: int) -> dict[str, dict[str, float]]:
    """GB/s of each kernel by size of the pieces and number of threads."""
    data = np.random.default_rng(0).integers(0, 256, TOTAL, np.uint8).data
    best: dict[str, dict[str, float]] = {name: {} for name in kernels()}
    counts = sorted({1, thread_count()})
    for _ in range(repeats):
        for name, kernel in kernels().items():
            for threads in counts:
                for label, piece in PIECES.items():
                    key = f"{label} x{threads}"
                    best[name][key] = max(best[name].get(key, 0.0), rate(kernel, data, piece, threads))
    return best


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    best = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "gb_per_s": best}, indent=2))
        return
    columns = list(next(iter(best.values())))
    print(f"| GB/s | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name, figures in best.items():
        print(f"| {name} | {' | '.join(f'{figures[column]:.2f}' for column in columns)} |")


if __name__ == "__main__":
    main()
