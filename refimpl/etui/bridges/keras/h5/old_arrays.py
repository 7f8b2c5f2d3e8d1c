"""Arrays that Keras 1 or Theano stored otherwise than later versions do, brought to their form (SPEC.md, annex C).

The rules are those by which Keras 2 read these files: gates of recurrent layers in one array each, kernels whose axes
are in another order, and kernels that Theano convolves flipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables

Array = np.ndarray[Any, Any]

# The places of the gates of Keras 2 among those of Keras 1: i, f, c, o were i, c, f, o; z, r, h stay.
_GATES = {"keras:LSTMCell": (0, 2, 1, 3), "keras:ConvLSTMCell": (0, 2, 1, 3), "keras:GRUCell": (0, 1, 2)}
_PARTS = 3
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTMCell")


@dataclass(frozen=True, slots=True)
class Given:
    """The variables of a layer, the array of each, and what was changed on the way."""

    variables: Sequence[LayerVariable]
    arrays: list[Stored]
    changes: list[str]


def converted(
    layer: LayerVariables,
    variables: Sequence[LayerVariable] | None,
    arrays: list[Stored],
    version: str | None,
    backend: str | None,
) -> Given | None:
    """The arrays of a layer in the form of Keras 2 and later.

    Args:
        layer: the layer.
        variables: those that its arrays are, if their number fits.
        arrays: in stored order.
        version: of the file.
        backend: of the file.

    Returns:
        The variables, their arrays, and what was changed; `None` if the number of arrays fits in no way.
    """
    old = version is None or version.partition(".")[0] in ("0", "1")
    changes: list[str] = []
    if variables is None:
        variables = layer.variables
        joined = _joined(variables, arrays) if old else None
        if joined is None:
            return None
        arrays = joined
        changes.append("the gates of Keras 1 were joined")
    if old or backend == "theano":
        moved = [
            _moved(one, array, old=old, flip=backend == "theano") for one, array in zip(variables, arrays, strict=True)
        ]
        if any(now is not before for now, before in zip(moved, arrays, strict=True)):
            changes.append("kernels were brought to the axes and the direction of Keras 2")
        arrays = moved
    return Given(variables, arrays, changes)


def _joined(variables: Sequence[LayerVariable], arrays: list[Stored]) -> list[Stored] | None:
    """Join the gates of every recurrent layer, each of which has a kernel, a recurrent kernel and a bias of its own."""
    found: list[Stored] = []
    at = 0
    for start, one in enumerate(variables):
        gates = _GATES.get(one.op)
        if gates is None:
            found += arrays[at : at + 1]
            at += 1
        elif one.role == "kernel":
            roles = [other.role for other in variables[start : start + _PARTS]]
            pieces = arrays[at : at + len(gates) * len(roles)]
            if roles != ["kernel", "recurrent_kernel", "bias"] or len(pieces) != len(gates) * _PARTS:
                return None
            at += len(pieces)
            found += [_concatenated([pieces[gate * _PARTS + part] for gate in gates]) for part in range(_PARTS)]
    return found if at == len(arrays) and len(found) == len(variables) else None


def _concatenated(parts: list[Stored]) -> Stored:
    last = sum(part.shape[-1] for part in parts if part.shape)
    shape = (*parts[0].shape[:-1], last)
    return Renamed(parts[0].path, parts[0].dtype, shape, lambda: np.concatenate([part.read() for part in parts], -1))


def _moved(one: LayerVariable, array: Stored, *, old: bool, flip: bool) -> Stored:
    """A kernel in the axes of Keras 2: space, inputs, outputs."""
    kind = one.op.partition(":")[2]
    recurrent = kind == "ConvLSTMCell" and one.role == "recurrent_kernel"
    if kind not in _CONVOLUTIONS or not (one.role == "kernel" or recurrent):
        return array
    first = one.attrs.get("data_format") == "channels_first"
    steps: list[Callable[[Array], Array]] = []
    shape = array.shape
    if old:
        order = _order(kind, shape, one.attrs, first=first)
        if order is not None:
            shape = tuple(shape[axis] for axis in order)
            steps.append(lambda found: found.transpose(order))
        if kind == "Conv1D" and len(shape) == 4:
            shape = (shape[0], *shape[2:])
            steps.append(lambda found: found[:, 0])
    if flip and len(shape) > 2:
        space = tuple(range(len(shape) - 2))
        steps.append(lambda found: np.flip(found, space))
    if not steps:
        return array

    def load() -> Array:
        found = array.read()
        for step in steps:
            found = step(found)
        return np.ascontiguousarray(found)

    return Renamed(array.path, array.dtype, shape, load)


def _order(kind: str, shape: tuple[int, ...], attrs: Any, *, first: bool) -> tuple[int, ...] | None:
    """The axes of Keras 1 in the order of Keras 2, or `None` where they are in that order."""
    if kind == "Conv1D":
        size = attrs.get("kernel_size")
        length = size[0] if isinstance(size, list) and size else size
        plain = len(shape) == 4 and shape[:2] == (length, 1) and shape[3] == attrs.get("filters")
        return None if plain or len(shape) != 4 else (2, 3, 1, 0)
    if kind == "Conv2DTranspose":
        return (2, 3, 0, 1) if first else (0, 1, 3, 2)
    if not first:
        return None
    return (2, 3, 4, 1, 0) if kind == "Conv3D" else (2, 3, 1, 0)
