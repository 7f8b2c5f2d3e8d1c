"""Damages an artifact, place after place, and opens and verifies it within limits; prints what became of it.

python damaging.py jobs.json

The jobs name the file, the bits to flip, each as byte and bit, and the lengths to cut it to. The file is as it was
between two flips, and is cut last, from its end on. The processor time and the memory of this process are limited as in
`opening.py`; what it prints are the codes of `verify` and of reading everything, flips first, the longest time, and the
most memory beside that of the sound artifact.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from opening import SECONDS, SPARE_BYTES, bound, contents, outcome, used

import etui


def look(path: Path) -> tuple[str | None, str | None, float]:
    """The codes of a verification and of reading everything, and the longer time of the two."""
    verified, first = outcome(lambda: etui.verify(path))
    read, second = outcome(lambda: contents(etui.open(path)))
    return verified, read, max(first, second)


def flipped(path: Path, at: int, bit: int) -> Any:
    """Look at the file with one bit flipped."""
    with path.open("r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << bit]), at)
        try:
            return look(path)
        finally:
            os.pwrite(file.fileno(), byte, at)


def cut(path: Path, length: int) -> Any:
    """Look at the file without its end."""
    os.truncate(path, length)
    return look(path)


def main() -> None:
    """Look at the sound file, then at each damage of it."""
    jobs = json.loads(Path(sys.argv[1]).read_text())
    path = Path(jobs["path"])
    sound = [look(path)[:2] for _ in range(2)]
    Path("/proc/self/clear_refs").write_text("5")
    before = used(peak=False)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound("AS", pages * resource.getpagesize() + SPARE_BYTES)
    results = []
    for at, bit in jobs["flips"]:
        bound("CPU", int(sum(os.times()[:2])) + SECONDS)
        results.append(flipped(path, at, bit))
    for length in jobs["cuts"]:
        bound("CPU", int(sum(os.times()[:2])) + SECONDS)
        results.append(cut(path, length))
    codes = [one[:2] for one in results]
    longest = max(one[2] for one in results)
    sys.stdout.write(json.dumps({"sound": sound, "codes": codes, "seconds": longest, "spare": used() - before}))


main()
