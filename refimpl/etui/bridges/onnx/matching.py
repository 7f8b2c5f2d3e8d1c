"""Finding which variable of an artifact an initializer of another model is, by its bytes."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.bridges.onnx.types import FLOATS, NAMES, STORED
from etui.containers.tensors import Tensor
from etui.model import Model

__all__ = ["Match", "Variables"]

Raw = npt.NDArray[np.uint8]
# Of more axes than these, no layer's kernel has its own order in another framework.
_MOST_AXES = 5
_SEPARATORS = re.compile(r"[/.:]")


class Match(NamedTuple):
    """A variable whose bytes an initializer has.

    Attributes:
        path: of the variable, which is the name of its tensor in the data parts, too.
        dtype, shape: of the variable.
        order: its axes in the initializer; axes of size 1 may lie elsewhere or lack there.
        certain: whether the initializer's name tells that it is this variable; or no other variable, and no other order
            of the axes, has the same bytes, and these are no number again and again, as a constant might be.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    certain: bool


class Variables:
    """The plain variables of a model that are stored in one piece, found by their bytes.

    Variables and initializers of one type, one number of elements and one sum of their bits, which no order of the
    elements changes, are compared; so each is read a few times at most.
    """

    def __init__(self, model: Model) -> None:
        self._by_size: defaultdict[tuple[int, int], list[tuple[str, Tensor]]] = defaultdict(list)
        self._sums: dict[str, int] = {}
        self._given: set[str] = set()
        if model.weights is None:
            return
        for path in model.weights:
            tensor = model.weights[path].tensor
            if _is_plain(tensor):
                self._by_size[STORED[tensor.dtype], tensor.nbytes].append((path, tensor))

    def find(self, name: str, raw: Raw, kind: int, dims: tuple[int, ...]) -> Match | None:
        """The variable whose bytes these are, as they lie or with the axes in another order; `None` if there is none.

        Of several with the same bytes, such as biases of zeros, it is the one whose path the initializer's name has
        most of, and then the first that no initializer had before. An initializer of integers is a variable only if
        its name says so.
        """
        candidates = self._by_size.get((kind, raw.nbytes), [])
        if not candidates:
            return None
        width = dtypes.by_name(NAMES[kind], "").bits // 8
        total = _sum(raw, width)
        found: list[Match] = []
        for path, tensor in candidates:
            if path not in self._sums:
                self._sums[path] = _sum(tensor.numpy().reshape(-1).view(np.uint8), width)
            orders = _orders(tensor, raw, dims) if self._sums[path] == total else []
            if orders:
                found.append(Match(path, tensor.dtype, tuple(tensor.shape), orders[0], len(orders) == 1))
        if not found:
            return None
        found.sort(key=lambda match: (-_likeness(name, match.path), match.path in self._given))
        best, likeness = found[0], _likeness(name, found[0].path)
        if not likeness and NAMES[kind] not in FLOATS:
            return None  # shapes and axes are integers, too
        self._given.add(best.path)
        alone = len(found) == 1 or likeness > _likeness(name, found[1].path)
        words = raw.view(np.dtype(f"u{width}"))
        known = likeness > 0 or bool((words != words[0]).any())
        return best._replace(certain=best.certain and alone and known)


def _is_plain(tensor: Tensor) -> bool:
    """Whether the tensor lies in one piece, with bytes in it, as an initializer can be."""
    return tensor.encoding is None and len(tensor.pieces) == 1 and tensor.dtype in STORED and tensor.nbytes > 0


def _likeness(name: str, path: str) -> int:
    """How many segments of a path an initializer's name has."""
    segments = set(_SEPARATORS.split(name.lower()))
    return sum(segment in segments for segment in path.lower().split("/"))


def _sum(raw: Raw, width: int) -> int:
    """The sum of the elements as unsigned numbers, modulo 2^64: the same for every order of them."""
    return int(raw.view(np.dtype(f"u{width}")).sum(dtype=np.uint64))


def _orders(tensor: Tensor, raw: Raw, dims: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The orders of a variable's axes in which its bytes are these, that in which they lie first; two at most."""
    shape = tuple(tensor.shape)
    own = tensor.numpy()
    words: npt.NDArray[Any] = own.view(np.dtype(f"u{own.dtype.itemsize}"))
    given = raw.view(words.dtype)
    found = [tuple(range(len(shape)))] if np.array_equal(words.reshape(-1), given) else []
    wide = [axis for axis, size in enumerate(shape) if size != 1]
    wanted = [size for size in dims if size != 1]
    if len(wide) > _MOST_AXES or sorted(shape[axis] for axis in wide) != sorted(wanted):
        return found
    for order in permutations(wide):
        if list(order) == wide or [shape[axis] for axis in order] != wanted:
            continue
        full = (*order, *(axis for axis in range(len(shape)) if shape[axis] == 1))
        if np.array_equal(words.transpose(full).reshape(-1), given):
            found.append(full)
            if len(found) > 1:
                break
    return found
