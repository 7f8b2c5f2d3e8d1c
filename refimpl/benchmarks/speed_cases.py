"""What the benchmark of `speed.py` stores: the cases with their sizes, and the arrays of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Kind = Literal["formats", "convert", "checkpoints", "growth"]

MIB = 1024 * 1024
SLOTS = ("momentum", "velocity")
EVERY = ("",)
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True, slots=True)
class Case:
    """Tensors of float32 that every candidate stores.

    Attributes:
        name: what ``--case`` takes; a point of a curve has the curve's name and its own.
        title: for people.
        kind: which candidates take part: formats, conversions, readers of TensorFlow's checkpoints, or the few that a
            curve shows.
        tensors: number of weights.
        shapes: of the weights, in turn.
        layers: the Keras layer that has such weights: ``dense`` has one, ``norm`` has four; empty for none.
        slots: whether each weight has the two slots of Adam as well.
        repeated: every tensor is the same array in memory, so that large cases fit.
        memory: the memory of candidates whose name begins with one of these is measured too.
        rounds: counted rounds at most, with none before that warms up; 0 for as many as are asked for.
    """

    name: str
    title: str
    kind: Kind
    tensors: int
    shapes: tuple[Shape, ...]
    layers: str = ""
    slots: bool = False
    repeated: bool = False
    memory: tuple[str, ...] = ()
    rounds: int = 0

    @property
    def curve(self) -> str:
        """The name of the curve, or of the case itself."""
        return self.name.partition("/")[0]

    def shape(self, index: int) -> Shape:
        """The shape of a weight."""
        return self.shapes[index % len(self.shapes)]

    def paths(self) -> list[str]:
        """The weights' names, as Keras would name them."""
        if self.layers == "dense":
            return [f"dense_{index}/kernel" for index in range(self.tensors)]
        if self.layers == "norm":
            return [f"norm_{index // 4}/{_NORM[index % 4]}" for index in range(self.tensors)]
        return [f"block_{index // 10}/weight_{index % 10}" for index in range(self.tensors)]

    def specs(self) -> Iterator[tuple[str, Shape]]:
        """Name and shape of everything that is stored, slots included."""
        paths = self.paths()
        for prefix in ("", *(f"{slot}/" for slot in SLOTS if self.slots)):
            for index, path in enumerate(paths):
                yield prefix + path, self.shape(index)

    @property
    def stored(self) -> int:
        """Number of tensors, slots included."""
        return self.tensors * (1 + len(SLOTS) * self.slots)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        sizes = [4 * int(np.prod(shape)) for shape in self.shapes]
        whole, rest = divmod(self.tensors, len(sizes))
        return (whole * sum(sizes) + sum(sizes[:rest])) * (1 + len(SLOTS) * self.slots)

    def smaller(self) -> Case:
        """The same with a few small tensors, by which a process warms up."""
        shapes = tuple(tuple(min(size, 8) for size in shape) for shape in self.shapes)
        tensors = 4 if self.layers == "norm" else 2 * len(shapes)
        return Case("warm", "", self.kind, tensors, shapes, self.layers, self.slots, self.repeated)


class Payload:
    """What the candidates of one process share, made when it is first asked for.

    Args:
        case: what it holds.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.shared: dict[str, Any] = {}

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Random arrays by name, slots included."""
        generator = np.random.default_rng(0)
        if self.case.repeated:
            one = generator.random(self.case.shapes[0], np.float32)
            return {name: one for name, _ in self.case.specs()}
        return {name: generator.random(shape, np.float32) for name, shape in self.case.specs()}

    def weights(self) -> dict[str, Array]:
        """The weights alone."""
        return {path: self.arrays[path] for path in self.case.paths()}

    def slot(self, name: str) -> dict[str, Array]:
        """One of the slots, by the path of its weight."""
        return {path: self.arrays[f"{name}/{path}"] for path in self.case.paths()}


def _chain(width: int, height: int) -> tuple[Shape, Shape]:
    """Kernels of dense layers that follow each other."""
    return (width, height), (height, width)


def _trained(name: str, size: str, kind: Kind, tensors: int, shapes: tuple[Shape, ...]) -> Case:
    title = f"{size} of weights in {tensors} tensors with two slots each"
    return Case(name, title, kind, tensors, shapes, "dense", slots=True, memory=EVERY if kind == "convert" else ())


def _tensors(sizes: tuple[int, ...], rounds: tuple[int, ...]) -> tuple[Case, ...]:
    return tuple(
        Case(f"tensors/{size}", f"{size:,} tensors of 16 elements", "growth", size, ((16,),), rounds=most)
        for size, most in zip(sizes, rounds, strict=True)
    )


def _bytes(sizes: tuple[int, ...], rounds: tuple[int, ...]) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"bytes/{size}", f"{size:,} MiB in 8 tensors", "growth", 8, ((size, MIB // 32),), repeated=True, rounds=most
        )
        for size, most in zip(sizes, rounds, strict=True)
    )


FULL = (
    Case("big", "1 GiB in 40 tensors", "formats", 40, _chain(2560, 2621), "dense", memory=EVERY),
    Case("many", "256 MiB in 4,000 tensors", "formats", 4000, ((16778,),), "norm"),
    Case("small", "100,000 tensors of 64 elements", "formats", 100_000, ((8, 8),)),
    _trained("optimizer", "128 MiB", "formats", 40, _chain(920, 911)),
    _trained("convert", "96 MiB", "convert", 40, _chain(800, 786)),
    Case("keys", "a TensorFlow checkpoint of 10,000 keys, 160 MiB", "checkpoints", 10_000, ((4096,),)),
    Case("keys-big", "a TensorFlow checkpoint of 40 keys, 256 MiB", "checkpoints", 40, ((1280, 1310),), memory=EVERY),
    *_tensors((1000, 10_000, 100_000, 1_000_000), (0, 0, 3, 2)),
    *_bytes((1, 16, 128, 1024, 8192), (0, 0, 0, 3, 1)),
)
QUICK = (
    Case("big", "4 MiB in 8 tensors", "formats", 8, _chain(320, 410), "dense", memory=("Etui, packed", "safetensors")),
    Case("many", "256 KiB in 64 tensors", "formats", 64, ((1024,),), "norm"),
    Case("small", "1,000 tensors of 64 elements", "formats", 1000, ((8, 8),)),
    _trained("optimizer", "1 MiB", "formats", 8, _chain(160, 205)),
    _trained("convert", "1 MiB", "convert", 8, _chain(160, 205)),
    Case("keys", "a TensorFlow checkpoint of 200 keys", "checkpoints", 200, ((64,),)),
    Case("keys-big", "a TensorFlow checkpoint of 4 keys, 1 MiB", "checkpoints", 4, ((256, 256),), memory=EVERY),
    *_tensors((10, 100, 1000), (0, 0, 0)),
    *_bytes((1, 2, 3, 4), (0, 0, 0, 0)),
)
NAMES = tuple(dict.fromkeys(case.curve for case in FULL))


def cases(names: list[str] | None, *, quick: bool) -> list[Case]:
    """The cases of the names, or all."""
    return [case for case in (QUICK if quick else FULL) if not names or case.curve in names]
