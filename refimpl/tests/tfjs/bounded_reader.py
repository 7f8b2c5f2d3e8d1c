"""Reads models of TensorFlow.js in little memory; prints for each the code of its refusal and the seconds of CPU time.

python bounded_reader.py spare_bytes sound_folder folder ...

The process may take no more address space than it has after reading the sound model, and so many bytes to spare.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from etui import bridges
from etui.errors import RejectError
from etui.limits import Limits
from etui.report import Report


def examine(path: Path) -> None:
    """Recognise a model and read all of it, as each kind in turn where none is recognised."""
    names = [name for name in ("tfjs-layers", "tfjs-graph") if bridges.by_name(name).translator.recognises(path)]
    for name in names or ["tfjs-layers", "tfjs-graph"]:
        with bridges.by_name(name).translator.read(path, Report(), limits=Limits()) as model:
            for variable in model.weights.variables.values() if model.weights is not None else ():
                variable.numpy()


def main() -> None:
    """Load everything that reading needs, set the bound, and read."""
    spare, sound, *paths = sys.argv[1:]
    examine(Path(sound))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + int(spare)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    results = []
    for path in paths:
        begin = time.process_time()
        code = None
        try:
            examine(Path(path))
        except RejectError as refusal:
            code = refusal.code
        results.append((code, time.process_time() - begin))
    sys.stdout.write(json.dumps(results))


main()
