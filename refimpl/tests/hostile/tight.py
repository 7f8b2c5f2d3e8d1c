"""Opens a file in less and less memory; prints for each bound and way how it ended.

python tight.py sound_file file out spare_bytes ...

Each way runs in a copy of this process, which may take no more address space than it has and so many bytes to spare.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from opening import ways

import etui


def ended(call: Callable[[], object], spare: int) -> str:
    """What became of a call in little memory: nothing, a code, or how the process ended."""
    near, far = os.pipe()
    child = os.fork()
    if not child:
        os.close(near)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        bound = pages * resource.getpagesize() + spare
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        try:
            call()
        except etui.EtuiError as failure:
            os.write(far, failure.code.encode())
        except BaseException as failure:
            os.write(far, b"!" + type(failure).__name__.encode())
        os._exit(0)
    os.close(far)
    with os.fdopen(near, "rb") as file:
        text = file.read().decode()
    status = os.waitpid(child, 0)[1]
    return text if not status else f"!ended with {status}"


def main() -> None:
    """Every way, with each bound; another file is opened first, so that all that is needed is loaded."""
    sound, path, out, *spares = sys.argv[1:]
    for call in ways({"path": sound}, Path(out)).values():
        call()
    found = ways({"path": path}, Path(out))
    results = [[name, int(spare), ended(call, int(spare))] for spare in spares for name, call in found.items()]
    sys.stdout.write(json.dumps(results))


main()
