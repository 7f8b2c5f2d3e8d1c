"""How long a training step stands still for a save in the background, as a ratio to one copy of the state in memory.

python refimpl/benchmarks/async_save.py [--mib 1024] [--rounds 7] [--arrays 64] [--only NAME ...]

Each candidate is a process of its own with the same amount of state, half of it weights and half slots of an optimizer
with momentum. In each round every candidate makes some steps that change all of its state in place (or, for JAX, with
donated arguments), saves, and makes one more step; then the write is awaited. Rounds are interleaved. What is measured:

- `call`: until the save returns, the capture of the model included. The target is at most 1.3 times the copy.
- `capture`: the part of it in which `capture` describes the model, which depends on its layers and not on their sizes:
  the smaller the state, the more it counts. A model of Keras that the saver itself is given is not captured by itself:
  from the second save on, half of its description is made by the thread that writes.
- `after`: by how much longer the next step takes than the others, since the write shares processors and memory with it.

The copy is `numpy.copyto` of the same amount into memory that was used before, by one thread. The first round, in which
memory is new to everyone, is shown by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = 1.3
STEPS = 3
ETUI = ("etui, torch", "etui, JAX", "etui, Keras on TensorFlow", "etui, Keras on JAX")
THEIRS = ("DCP async_save", "DCP async_save, stager kept", "Orbax CheckpointManager")
CAPTURED = "etui, Keras on TensorFlow, captured"
COPY = "copy"
ALL = (COPY, *ETUI, CAPTURED, *THEIRS)


class Candidate(ABC):
    """Some state, a step that changes all of it, and a save in the background.

    Args:
        shapes: of the weights; the slots have the same.
        folder: of the candidate's own.
    """

    captured = 0.0  # seconds in which the model was described

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        self.shapes, self.folder = shapes, folder

    @abstractmethod
    def step(self) -> None:
        """Change all of the state, and wait until that is done."""

    @abstractmethod
    def save(self, number: int) -> None:
        """Begin to save."""

    def wait(self) -> None:  # noqa: B027  what saves in the foreground has saved
        """Wait until it is saved."""


class Copy(Candidate):
    """The copy that the others are compared with."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        import numpy as np

        super().__init__(shapes, folder)
        self.arrays = [np.ones(shape, np.float32) for shape in shapes * 2]
        self.copies = [np.zeros(shape, np.float32) for shape in shapes * 2]
        self.copyto, self.multiply = np.copyto, np.multiply

    def step(self) -> None:
        """See `Candidate`."""
        for array in self.arrays:
            self.multiply(array, 1.001, out=array)

    def save(self, number: int) -> None:  # noqa: ARG002  there is nothing to name
        """See `Candidate`."""
        for target, source in zip(self.copies, self.arrays, strict=True):
            self.copyto(target, source)


class Torch(Candidate):
    """A module and SGD with momentum."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        import torch

        super().__init__(shapes, folder)
        self.module = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(shape)) for shape in shapes])
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=1e-3, momentum=0.9)
        for parameter in self.module.parameters():
            parameter.grad = torch.ones_like(parameter)

    def step(self) -> None:
        """See `Candidate`."""
        self.optimizer.step()


class EtuiTorch(Torch):
    """A series, beside a loop of torch."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        from etui.checkpoints import AsyncSaver, Retention, Series

        super().__init__(shapes, folder)
        self.saver = AsyncSaver(Series(folder / "series", keep=Retention(last=1)))

    def save(self, number: int) -> None:
        """See `Candidate`."""
        import etui

        start = time.perf_counter()
        model = etui.torch.capture(self.module, self.optimizer, step=number)
        self.captured = time.perf_counter() - start
        self.saver.save(model, number)

    def wait(self) -> None:
        """See `Candidate`."""
        self.saver.wait()


class Dcp(Torch):
    """torch.distributed.checkpoint, which stages the state anew each time."""

    stager: Any = None

    def save(self, number: int) -> None:
        """See `Candidate`."""
        import torch.distributed.checkpoint as dcp

        state = {"model": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        options = {} if self.stager is None else {"async_stager": self.stager}
        self.last = self.folder / str(number)
        self.future: Any = dcp.async_save(state, checkpoint_id=str(self.last), no_dist=True, **options)

    def wait(self) -> None:
        """See `Candidate`."""
        (getattr(self.future, "upload_completion", None) or self.future).result()
        shutil.rmtree(self.last)


class DcpKept(Dcp):
    """The same with a stager that keeps its memory."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

        super().__init__(shapes, folder)
        self.stager = DefaultStager(
            StagingOptions(
                use_pinned_memory=False,
                use_shared_memory=False,
                use_async_staging=False,
                use_non_blocking_copy=False,
            )
        )


class Jax(Candidate):
    """A tree and its momentum, with an update to which both are donated."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        import jax
        import optax

        super().__init__(shapes, folder)
        tx = optax.sgd(1e-3, momentum=0.9)
        self.params: Any = {f"w{at}": jax.numpy.ones(shape) for at, shape in enumerate(shapes)}
        self.state: Any = tx.init(self.params)

        def update(params: Any, state: Any) -> Any:
            updates, state = tx.update(jax.tree.map(lambda one: one * 0.001, params), state, params)
            return optax.apply_updates(params, updates), state

        self.update = jax.jit(update, donate_argnums=(0, 1))
        self.ready = jax.block_until_ready

    def step(self) -> None:
        """See `Candidate`."""
        self.params, self.state = self.ready(self.update(self.params, self.state))


class EtuiJax(Jax):
    """A series, beside a loop of JAX."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        from etui.checkpoints import AsyncSaver, Retention, Series

        super().__init__(shapes, folder)
        self.saver = AsyncSaver(Series(folder / "series", keep=Retention(last=1)))

    def save(self, number: int) -> None:
        """See `Candidate`."""
        import etui

        start = time.perf_counter()
        model = etui.jax.capture_tree(self.params, opt_state=self.state, step=number)
        self.captured = time.perf_counter() - start
        self.saver.save(model, number)

    def wait(self) -> None:
        """See `Candidate`."""
        self.saver.wait()


class Orbax(Jax):
    """Orbax' manager with its standard handler."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        import orbax.checkpoint as ocp

        super().__init__(shapes, folder)
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=True)
        self.manager = ocp.CheckpointManager(folder / "orbax", options=options)
        self.arguments = ocp.args.StandardSave

    def save(self, number: int) -> None:
        """See `Candidate`."""
        self.manager.save(number, args=self.arguments({"params": self.params, "opt": self.state}))

    def wait(self) -> None:
        """See `Candidate`."""
        self.manager.wait_until_finished()


class EtuiKeras(Candidate):
    """A series, beside a model of Keras whose variables are assigned to."""

    def __init__(self, shapes: list[tuple[int, int]], folder: Path) -> None:
        import keras

        from etui.checkpoints import AsyncSaver, Retention, Series

        super().__init__(shapes, folder)
        layers = [keras.layers.Dense(columns, use_bias=False) for _, columns in shapes]
        self.model = keras.Sequential([keras.Input((shapes[0][0],)), *layers])
        self.model.compile(optimizer=keras.optimizers.SGD(1e-3, momentum=0.9), loss="mse")
        self.model.optimizer.build(self.model.trainable_variables)
        self.variables = [*self.model.trainable_variables, *self.model.optimizer.variables[2:]]
        self.saver = AsyncSaver(Series(folder / "series", keep=Retention(last=1)))
        self.ready = keras.ops.convert_to_numpy

    def step(self) -> None:
        """See `Candidate`."""
        for variable in self.variables:
            variable.assign(variable * 1.001)
        for variable in self.variables:
            self.ready(variable[0, 0])

    def save(self, number: int) -> None:
        """See `Candidate`."""
        self.saver.save(self.model, number)

    def wait(self) -> None:
        """See `Candidate`."""
        self.saver.wait()


class EtuiKerasCaptured(EtuiKeras):
    """The same, but described whole within the call."""

    def save(self, number: int) -> None:
        """See `Candidate`."""
        import etui

        start = time.perf_counter()
        model = etui.keras.capture(self.model)
        self.captured = time.perf_counter() - start
        self.saver.save(model, number)


KINDS: dict[str, type[Candidate]] = {
    COPY: Copy,
    "etui, torch": EtuiTorch,
    "etui, JAX": EtuiJax,
    "etui, Keras on TensorFlow": EtuiKeras,
    "etui, Keras on JAX": EtuiKeras,
    CAPTURED: EtuiKerasCaptured,
    "DCP async_save": Dcp,
    "DCP async_save, stager kept": DcpKept,
    "Orbax CheckpointManager": Orbax,
}


def work(name: str, size: int, arrays: int, folder: Path) -> None:
    """Make one round for each line on standard input, and answer with a line of JSON."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no answer
    side = max(1, int((size / 2 / arrays / 4) ** 0.5))
    candidate = KINDS[name]([(side, side)] * arrays, folder)
    for _ in range(STEPS):
        candidate.step()
    answers.write(json.dumps({"bytes": 2 * arrays * side * side * 4}) + "\n")
    answers.flush()
    for number, _ in enumerate(sys.stdin, 1):
        steps = [_timed(candidate.step) for _ in range(STEPS)]
        call = _timed(lambda number=number: candidate.save(number))
        after = _timed(candidate.step)
        written = _timed(candidate.wait)
        answer = {
            "call": call,
            "capture": candidate.captured,
            "after": after - statistics.median(steps),
            "written": call + after + written,
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _timed(task: Any) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


@contextlib.contextmanager
def processes(names: list[str], size: int, arrays: int, folder: Path) -> Iterator[dict[str, Any]]:
    """A process for each candidate, whose state is made."""
    started: dict[str, Any] = {}
    try:
        for at, name in enumerate(names):
            backend = "tensorflow" if "TensorFlow" in name else "jax"
            own = folder / str(at)
            own.mkdir()
            started[name] = subprocess.Popen(
                [sys.executable, __file__, "--worker", name, "--bytes", str(size), "--arrays", str(arrays), str(own)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        for name in names:
            if not started[name].stdout.readline():
                raise RuntimeError(f"{name} ended; run it with --worker to see why")
        yield started
    finally:
        for process in started.values():
            process.stdin.close()
            process.wait()


def measured(names: list[str], size: int, arrays: int, rounds: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    """The figures of each candidate in each round, in seconds."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with processes(names, size, arrays, folder) as started:
        for _ in range(rounds + 1):
            for name in names:
                process = started[name]
                process.stdin.write("go\n")
                process.stdin.flush()
                found[name].append(json.loads(process.stdout.readline()))
    return found


def report(found: dict[str, list[dict[str, float]]], size: int) -> bool:
    """Print the ratios; whether every candidate of Etui meets the target."""
    unit = statistics.median(one["call"] for one in found[COPY][1:])
    print(f"state: {size / 2**20:.0f} MiB; one copy of it: 1.00 (median of {len(found[COPY]) - 1} rounds)\n")
    print(f"{'':<36}{'call':>8}{'min':>8}{'max':>8}{'first':>8}{'capture':>9}{'after':>8}{'until written':>15}")
    met = True
    for name, rounds in found.items():
        calls = [one["call"] / unit for one in rounds[1:]]
        row = [statistics.median(calls), min(calls), max(calls), rounds[0]["call"] / unit]
        row += [statistics.median(one[key] for one in rounds[1:]) / unit for key in ("capture", "after", "written")]
        print(f"{name:<36}{row[0]:8.2f}{row[1]:8.2f}{row[2]:8.2f}{row[3]:8.2f}{row[4]:9.2f}{row[5]:8.2f}{row[6]:15.2f}")
        met &= name not in ETUI or row[0] <= TARGET
    print(f"\ntarget: a call of Etui takes at most {TARGET} copies: {'met' if met else 'NOT met'}")
    return met


def main() -> int:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="MiB of state")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--arrays", type=int, default=64, help="arrays of the weights")
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--worker", choices=ALL, help=argparse.SUPPRESS)
    parser.add_argument("--bytes", type=int, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help="where to save; by default a temporary folder")
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.bytes, options.arrays, options.folder)
        return 0
    names = list(dict.fromkeys([COPY, *options.only]))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = measured(names, options.mib * 2**20, options.arrays, options.rounds, Path(folder))
    return 0 if report(found, options.mib * 2**20) else 1


if __name__ == "__main__":
    sys.exit(main())
