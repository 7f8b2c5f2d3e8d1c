"""Reads artifacts in little memory; prints for each the code of its refusal and the seconds of processor time.

python bounded_reader.py spare_bytes artifact.etui ...

The process may take no more address space than it has when the library is loaded, and so many bytes to spare.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import etui
from etui.testing.hostile import parts_of
from etui.testing.samples import everything


def examine(path: str) -> None:
    """Read every variable, then every byte."""
    with etui.open(path) as model:
        for variable in model.weights.variables.values() if model.weights is not None else ():
            variable.numpy()
    etui.verify(path)


def main() -> None:
    """Load everything that a verification needs, set the bound, and verify."""
    etui.verify(parts_of(everything()))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    results = []
    for path in sys.argv[2:]:
        begin = time.process_time()
        code = None
        try:
            examine(path)
        except etui.RejectError as refusal:
            code = refusal.code
        results.append((code, time.process_time() - begin))
    sys.stdout.write(json.dumps(results))


main()
