"""Worlds of gloo processes: torch is imported once, and each world is forked from here.

Run as a program by the tests, in a process of its own since it forks:

    python processes.py RESULT.json FOLDER SCENARIO...
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
warnings.simplefilter("ignore")

import torch
import torch.distributed as dist

torch.set_num_threads(1)
# On some processors oneDNN's convolutions end the process in their backward pass.
torch.backends.mkldnn.enabled = False


def in_world(size: int, folder: Path, function: Callable[..., Any], *arguments: Any, seconds: float = 60) -> list[Any]:
    """Run a function in each process of a new world, with the rank first.

    Args:
        size: number of processes.
        folder: for what they tell.
        function: called as (rank, *arguments); gives a JSON tree.
        arguments: for it.
        seconds: after which they are killed.

    Returns:
        What it gave for each rank; the traceback's text where it raised, minus the signal where it was killed.
    """
    meeting = folder / f"meeting-{time.monotonic_ns()}"
    children = []
    for rank in range(size):
        child = os.fork()
        if not child:
            # Where a world hangs, what its processes wait for is told before they are killed.
            faulthandler.dump_traceback_later(seconds * 0.8)
            _run(rank, size, meeting, lambda rank: function(rank, *arguments))
        children.append(child)
    found: list[Any] = [None] * size
    end = time.monotonic() + seconds
    for rank, child in enumerate(children):
        code = _wait(child, end)
        told = Path(f"{meeting}-{rank}")
        found[rank] = json.loads(told.read_text()) if code == 0 else code
        told.unlink(missing_ok=True)
    meeting.unlink(missing_ok=True)
    return found


def _wait(child: int, end: float) -> int:
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            break
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -99


def _run(rank: int, size: int, meeting: Path, function: Callable[[int], Any]) -> None:
    """The life of a child."""
    try:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank))
        if sys.platform == "linux":
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
        result = function(rank)
        Path(f"{meeting}-{rank}").write_text(json.dumps(result))
        with suppress(RuntimeError):
            # Who ends closes its connections, which others may still wait on.
            dist.barrier()
    except BaseException:  # DCP's own is none of Exception
        text = traceback.format_exc()
        sys.stderr.write(f"rank {rank}: {text}\n")
        Path(f"{meeting}-{rank}").write_text(json.dumps(text))
    finally:
        sys.stderr.flush()
        # Threads of gloo may wait for processes that are gone.
        os._exit(0)


def main(result: str, folder: str, *names: str) -> None:
    """Run scenarios and write what each gave."""
    sys.path.insert(0, str(Path(__file__).parent))
    scenarios: Any = import_module("process_scenarios")
    # Processes are killed here, and the machine goes on: nothing needs to reach the device.
    os.fsync = lambda _: None  # type: ignore[assignment]
    found = {}
    for name in names:
        place = Path(folder, name)
        place.mkdir()
        found[name] = getattr(scenarios, name)(place)
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    # What scenarios import is this module, and not a second one.
    sys.modules["processes"] = sys.modules["__main__"]
    main(*sys.argv[1:])
