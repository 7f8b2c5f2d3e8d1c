"""A model on servers of this machine: requests, bytes and time, beside fsspec with the same bytes, in one run.

python refimpl/benchmarks/remote.py [--mib 1024] [--tensors 40] [--rounds 3] [--json FILE]

The servers, an S3 of moto's and a plain web server, are one process beside this one, which notes every request. Their
time is part of every figure, so that ratios tell more than seconds; and moto reads a whole object for each range of it,
so that the rows of the web server say more about reading much. What fsspec puts and gets is the packed file that the
save makes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np

import etui
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model

_URL, _PLAIN = "s3://bucket/model.etui", "s3://bucket/plain.etui"
_ONE = "etui open and read one tensor"
_SETTLED_SECONDS = 0.2
_SAYING = Lock()


def serve(file: str) -> int:
    """Be the servers: say where they are, and then each request as a line of JSON, until the input ends."""
    from etui.testing.servers import Asked, s3_server, web_server

    with s3_server() as server, web_server() as web:
        web.files["model.etui"] = Path(file).read_bytes()
        print(json.dumps([server.options, web.url]), flush=True)

        def say(asked: Asked) -> None:
            Thread(target=_say_when_answered, args=(asked,), daemon=True).start()

        server.note = web.note = say  # type: ignore[method-assign]  # they are not to keep them
        sys.stdin.read()
    return 0


def _say_when_answered(asked: Any) -> None:
    # The bytes that were sent are known when the answer has gone out.
    before = -1
    while asked.sent != before or not asked.status:
        before = asked.sent
        time.sleep(_SETTLED_SECONDS / 4)
    length = int(asked.headers.get("content-length") or 0)
    line = json.dumps([asked.method, asked.path, asked.range, asked.sent, length])
    with _SAYING:
        print(line, flush=True)


class Server:
    """The server's process, and what it was asked since the last look."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, __file__, "--serve", str(file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.options: dict[str, Any]
        self.options, self.web = json.loads(self._process.stdout.readline())
        # moto puts the parts of a large upload together while the client waits.
        self.options["config_kwargs"] = {"read_timeout": 1800, "retries": {"max_attempts": 1}}
        self._asked: list[list[Any]] = []
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._asked.append(json.loads(line))

    def take(self) -> dict[str, int]:
        """Requests, and bytes that came and went, since the last call."""
        time.sleep(3 * _SETTLED_SECONDS)
        found, self._asked = self._asked, []
        return {
            "requests": len(found),
            "received": sum(sent for _, _, _, sent, _ in found),
            "sent": sum(length for *_, length in found),
        }

    def stop(self) -> None:
        """End it."""
        self._process.communicate()


@contextmanager
def running(file: Path) -> Iterator[Server]:
    """Servers for the block, of which the web server has a file."""
    server = Server(file)
    try:
        yield server
    finally:
        server.stop()


def model_of(mib: int, tensors: int) -> Model:
    """A model of so many float32 kernels of one size."""
    weights, random = Weights(), np.random.default_rng(0)
    for number in range(tensors):
        values = random.standard_normal(mib * 1024 * 1024 // 4 // tensors, dtype=np.float32)
        weights.add(f"layer_{number:03d}/kernel", Tensor.of(values), role="kernel")
    return Model(weights=weights)


def candidates(model: Model, server: Server, folder: Path) -> dict[str, Callable[[], object]]:
    """What is measured, by name; each works on what is there already."""
    import fsspec
    import s3fs  # type: ignore[import-untyped]  # it publishes no types

    fs, http = s3fs.S3FileSystem(**server.options), fsspec.filesystem("http")
    options = server.options
    local, web = folder / "local.etui", f"{server.web}/model.etui"
    middle = f"layer_{len(model.weights or ()) // 2:03d}/kernel"

    def one() -> None:
        with etui.open(_URL, storage_options=options) as opened:
            assert opened.weights is not None
            opened.weights[middle].numpy()

    def every(url: str, options: dict[str, Any] | None) -> None:
        with etui.open(url, storage_options=options) as opened:
            assert opened.weights is not None
            for path in opened.weights:
                opened.weights[path].numpy()

    return {
        "s3fs put_file": lambda: fs.put_file(str(local), _PLAIN),
        "etui save": lambda: etui.save(model, _URL, storage_options=options),
        "s3fs get_file": lambda: fs.get_file(_PLAIN, str(folder / "got.etui")),
        "etui read all": lambda: every(_URL, options),
        "etui convert to a file": lambda: etui.convert(_URL, folder / "copy.etui", storage_options=options),
        "etui verify": lambda: etui.verify(_URL, storage_options=options),
        "etui open": lambda: etui.open(_URL, storage_options=options).close(),
        _ONE: one,
        "fsspec http get_file": lambda: http.get_file(web, str(folder / "got.etui")),
        "etui http read all": lambda: every(web, None),
        "etui http convert to a file": lambda: etui.convert(web, folder / "copy.etui"),
        "etui http verify": lambda: etui.verify(web),
    }


_BESIDE = {"etui save": "s3fs put_file"} | dict.fromkeys(
    ("etui read all", "etui convert to a file", "etui verify", _ONE), "s3fs get_file"
)
_BESIDE |= dict.fromkeys(
    ("etui http read all", "etui http convert to a file", "etui http verify"), "fsspec http get_file"
)


def measure(mib: int, tensors: int, rounds: int, only: Collection[str] = ()) -> dict[str, Any]:
    """Run everything, or what is named, in turn, `rounds` times, and give medians."""
    model = model_of(mib, tensors)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        etui.save(model, folder / "local.etui")
        server = stack.enter_context(running(folder / "local.etui"))
        acts = candidates(model, server, folder)
        server.take()
        for _ in range(rounds):
            for name, act in acts.items():
                if only and name not in only:
                    continue
                start = time.perf_counter()
                act()
                seconds = time.perf_counter() - start
                row = found.setdefault(name, {"seconds": []})
                row["seconds"].append(seconds)
                row |= server.take()
    for name, row in found.items():
        row["median"] = statistics.median(row["seconds"])
        beside = _BESIDE.get(name)
        row["ratio"] = row["median"] / statistics.median(found[beside]["seconds"]) if beside in found else None
    tensor = mib * 1024 * 1024 // tensors
    one = found[_ONE]
    return {
        "machine": {"processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()},
        "mib": mib,
        "tensors": tensors,
        "rounds": rounds,
        "rows": found,
        "targets": {
            "one tensor by at most 3 requests": one["requests"] <= 3,
            "one tensor by at most its size and 1 MB": one["received"] <= tensor + 1_000_000,
        },
    }


def main() -> int:
    """Measure and print; the exit code is 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the model")
    parser.add_argument("--tensors", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", metavar="ROW", nargs="*", default=(), help="rows to measure, with those they need")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--serve", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)
    found = measure(options.mib, options.tensors, options.rounds, {*options.only, _ONE} if options.only else ())
    print(
        f"{found['mib']} MiB in {found['tensors']} tensors, {found['rounds']} rounds, "
        f"{found['machine']['processors']} processors"
    )
    print(f"{'':<32}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}{'requests':>10}{'received':>16}{'sent':>16}")
    for name, row in found["rows"].items():
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} x"
        times = f"{row['median']:>8.2f}s{min(row['seconds']):>8.2f}s{max(row['seconds']):>8.2f}s"
        print(f"{name:<32}{times}{ratio:>8}{row['requests']:>10}{row['received']:>16,}{row['sent']:>16,}")
    print("The ratio is to fsspec with the same bytes: put_file for a save, get_file for the others.")
    for target, met in found["targets"].items():
        print(f"{'met' if met else 'MISSED':<7} {target}")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if all(found["targets"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
