"""What is known of a program without running it: its inputs and outputs, and why it may not be run as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from etui import dtypes

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """An input or an output.

    Attributes:
        name: by which it is given or found.
        dtype: a dtype of chapter 2.1; `None` where nothing says it.
        shape: `None` for a size that is not fixed, and as a whole where the rank is not.
        optional: whether an input may be left out.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    optional: bool = False

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "dtype": self.dtype, "shape": shape}


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a program; the order is that of its inputs and outputs."""

    inputs: Sequence[Spec]
    outputs: Sequence[Spec]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a kind of program says of one program.

    Attributes:
        signatures: name -> signature; a kind whose programs have one alone names it by the empty text.
        stale: why the program is not one of the artifact's present config and weights (G-3); empty where it is.
        effects: what in it could run other code, or reach files or the network.
    """

    signatures: Mapping[str, Signature]
    stale: str = ""
    effects: Sequence[str] = field(default_factory=tuple)


def specs_of(arrays: dict[str, Array]) -> list[Spec]:
    """Names, dtypes and shapes of arrays."""
    return [Spec(name, dtype_of(array), tuple(array.shape)) for name, array in arrays.items()]


def dtype_of(array: Array) -> str:
    """The name of an array's dtype in the words of SPEC.md, as far as it has one."""
    if array.dtype.hasobject:
        is_bytes = any(isinstance(item, bytes) for item in array.flat)
        return "bytes" if is_bytes else "string"
    if array.dtype.kind in "US":
        return "string" if array.dtype.kind == "U" else "bytes"
    return array.dtype.name if array.dtype.name in dtypes.DTYPES else str(array.dtype)
