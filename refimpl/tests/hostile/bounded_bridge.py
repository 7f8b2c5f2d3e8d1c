"""Reads files of any known format in little memory; prints for each the code of its refusal and the seconds it took.

python bounded_bridge.py spare_bytes sound_file file ...

The sound file is read before memory is bounded, so that all that a reader needs is loaded and started. After that the
process may take no more address space than it has, and so many bytes to spare. Seconds are of the processor.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import etui
from etui import conversion


def examine(path: str) -> None:
    """Recognise and read a file with all its variables and slots."""
    with conversion.read(path)[0] as model:
        for _, _, tensor in model.stored_tensors():
            tensor.numpy()


def main() -> None:
    """Read the sound file, set the bound, and read the others."""
    examine(sys.argv[2])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    results = []
    for path in sys.argv[3:]:
        begin = time.process_time()
        code = None
        try:
            examine(path)
        except etui.EtuiError as refusal:
            code = refusal.code
        results.append((code, time.process_time() - begin))
    sys.stdout.write(json.dumps(results))


main()
