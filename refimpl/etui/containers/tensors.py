"""Tensors in memory: logical dtype and shape, and the pieces or components that hold the elements.

A tensor's data is in memory, is made by a callable when it is needed, or lies in a data part. `numpy()` gives the
logical array; a plain tensor that lies in one chunk is handed out without a copy, mapped where the storage can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from etui import dtypes
from etui.containers.cover import Shape, check_cover
from etui.containers.encodings import ENCODINGS, Spec, check_components, split
from etui.containers.pieces import Array, Held, Lazy, Piece, Stored, canonical, readonly
from etui.errors import error, shown
from etui.notebooks import InNotebooks
from etui.shortage import shortage

# Shared by most tensors: of a hundred thousand empty maps, collecting garbage takes longer than opening.
_NOTHING: Mapping[str, Any] = {}


class Tensor(InNotebooks):
    """A tensor of an artifact: not to be changed, and lazy where its data lies in a file.

    Attributes:
        dtype: the logical dtype, by its name in SPEC.md chapter 2.1.
        shape: the logical shape.
        encoding: `None` for a plain tensor.
        pieces: the boxes of a plain tensor; empty for an encoded one.
        components: the components of an encoded tensor by name; empty for a plain one.
        extra: fields of a newer version or with `x-`, kept for rewriting.
    """

    __slots__ = ("components", "dtype", "encoding", "extra", "pieces", "shape")

    def __init__(
        self,
        dtype: str,
        shape: Shape,
        *,
        pieces: tuple[Piece, ...] = (),
        encoding: str | None = None,
        components: Mapping[str, Tensor] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.pieces = pieces
        self.encoding = encoding
        self.components = components or _NOTHING
        self.extra = extra or _NOTHING

    @classmethod
    def of(cls, array: Any, *, dtype: str | None = None) -> Tensor:
        """A tensor of an array in memory.

        Args:
            array: anything that numpy takes; ml_dtypes' types, complex numbers, and str or bytes objects included.
                An array that is C-contiguous and little-endian is kept without a copy, so do not change it after.
            dtype: the logical dtype, needed only where the array does not show it: an empty array of objects.

        Raises:
            InvalidError: ``dtype-unknown``, the array's dtype has no counterpart; ``encoding-content``, a string with
                a lone surrogate.
            UsageError: ``tensor-promise``, the array shows another dtype than `dtype`.
        """
        array = canonical(_as_array(array))
        name = _dtype_name(array, dtype)
        try:
            encoded = split(name, array)
        except UnicodeEncodeError as fault:
            raise error("encoding-content", found=str(fault)) from fault
        if encoded is None:
            return cls(name, array.shape, pieces=(Piece(None, array.shape, Held(readonly(array))),))
        encoding, components = encoded
        parts = {key: cls.of(part) for key, part in components.items()}
        return cls(name, array.shape, encoding=encoding, components=parts)

    @classmethod
    def lazy(
        cls,
        dtype: str,
        shape: Sequence[int],
        load: Callable[[], Array],
        *,
        fixed: bool = False,
        view: Callable[[], Array] | None = None,
        constant: bool = False,
    ) -> Tensor:
        """A plain tensor whose elements `load` gives, at each reading or writing.

        Args:
            dtype: the dtype, one that safetensors holds as it is.
            shape: the shape of the array that `load` gives.
            load: makes the array; called once per reading.
            fixed: whether it gives the same elements each time, as one that reads an open file does.
            view: gives the elements where they are, without a copy; a snapshot looks at them so.
            constant: whether nothing ever changes what `view` gave, so that a snapshot need not copy it.
        """
        _check_plain(dtype)
        box = tuple(shape)
        return cls(dtype, box, pieces=(Piece(None, box, Lazy(dtype, box, load, fixed, view, constant)),))

    @classmethod
    def chunked(
        cls, dtype: str, shape: Sequence[int], chunks: Sequence[tuple[Sequence[int], Array | Tensor]]
    ) -> Tensor:
        """A plain tensor of several boxes, each written as a chunk of its own.

        Args:
            dtype: the dtype of every box, one that safetensors holds as it is.
            shape: the shape of the whole tensor.
            chunks: pairs of the box's offset and its elements, an array or a tensor of one piece, for example a lazy
                one; together they cover each element once.

        Raises:
            InvalidError: ``chunk-form``, ``chunk-cover`` or ``chunk-mismatch``.
            LimitError: ``limit-chunks``.
        """
        _check_plain(dtype)
        pieces = []
        for offset, values in sorted(chunks, key=lambda chunk: tuple(chunk[0])):
            tensor = values if isinstance(values, Tensor) else cls.of(values)
            if tensor.dtype != dtype or len(tensor.pieces) != 1:
                raise error("chunk-mismatch", found=f"{tensor!r} as a chunk of a tensor of {dtype}")
            pieces.append(Piece(tuple(offset), tensor.shape, tensor.pieces[0].source))
        boxes = [(piece.offset or (), piece.shape) for piece in pieces]
        check_cover(tuple(shape), boxes, "a chunked tensor")
        if len(pieces) == 1:
            pieces = [Piece(None, pieces[0].shape, pieces[0].source)]
        return cls(dtype, tuple(shape), pieces=tuple(pieces))

    @classmethod
    def quantized(cls, values: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, dtype: str) -> Tensor:
        """A tensor of `dtype` with the elements (values - zero_point) x scale, per block of `scale` (W-21).

        Args:
            values: integers of the logical shape.
            scale: floats; each dimension divides that of `values`.
            zero_point: of the dtype of `values` and the shape of `scale`.
            dtype: the logical float dtype.

        Raises:
            InvalidError: ``encoding-components``.
        """
        components = {"values": values, "scale": scale}
        if zero_point is not None:
            components["zero_point"] = zero_point
        specs = {name: Spec(part.dtype, part.shape, part.encoding) for name, part in components.items()}
        check_components("quantized", dtype, values.shape, specs, "a quantized tensor")
        return cls(dtype, values.shape, encoding="quantized", components=components)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements as they are stored: those of the components for an encoded tensor."""
        if self.encoding is not None:
            return sum(part.nbytes for part in self.components.values())
        return dtypes.byte_size(self.dtype, self.shape)

    @property
    def place(self) -> str:
        """Where the data lies, for messages."""
        sources = (piece.source for _, plain in self.physical("") for piece in plain.pieces)
        return next((source.place for source in sources if isinstance(source, Stored)), repr(self))

    def numpy(self, *, verify: bool = False) -> Array:
        """The logical array, read-only.

        Args:
            verify: check digests again, and also where the artifact was opened without checks.

        Raises:
            InvalidError: the content breaks a clause of chapter 12.
            IntegrityError: ``digest-mismatch``.
            StorageError: it cannot be read; ``out-of-memory``.
        """
        if self.encoding is not None:
            arrays = {name: part.numpy(verify=verify) for name, part in self.components.items()}
            try:
                with shortage():
                    return readonly(ENCODINGS[self.encoding].join(self.dtype, self.shape, arrays))
            except ValueError as fault:  # UnicodeDecodeError included
                raise error("encoding-content", where=self.place, found=str(fault)) from fault
        if len(self.pieces) == 1:
            return self.pieces[0].source.array(verify=verify).reshape(self.shape)
        return self._assemble(tuple(slice(0, size) for size in self.shape), verify=verify)

    def read(self, box: Sequence[slice]) -> Array:
        """A sub-box of the logical array; only the chunks that meet it are read (W-13).

        Args:
            box: one slice of step 1 per dimension; missing ones at the end mean all.

        Raises:
            UsageError: ``box-form``, another step or too many slices.
        """
        slices = _check_box(box, self.shape)
        if self.encoding == "complex":
            parts = {"parts": self.components["parts"].read((*slices, slice(0, 2)))}
            extents = tuple(part.stop - part.start for part in slices)
            return readonly(ENCODINGS["complex"].join(self.dtype, extents, parts))
        if self.encoding is not None or len(self.pieces) == 1:
            array = self.numpy()
            return array[slices] if slices else array  # numpy would take the element out of a scalar
        return self._assemble(slices)

    @shortage()
    def _assemble(self, box: tuple[slice, ...], *, verify: bool = False) -> Array:
        meeting = []
        for piece in self.pieces:
            inside, target = [], []
            for begin, size, part in zip(piece.offset or (), piece.shape, box, strict=True):
                low, high = max(begin, part.start), min(begin + size, part.stop)
                inside.append(slice(low - begin, high - begin))
                target.append(slice(low - part.start, high - part.start))
            if all(part.start < part.stop for part in inside):
                # Before memory is taken for the result, its pieces have to be there.
                piece.source.check()
                meeting.append((piece.source, tuple(inside), tuple(target)))
        result = np.empty([part.stop - part.start for part in box], dtypes.by_name(self.dtype, "").numpy)
        for source, inside_box, target_box in meeting:
            result[target_box] = source.array(verify=verify)[inside_box]
        return readonly(result)

    def physical(self, name: str) -> Iterator[tuple[str, Tensor]]:
        """The plain tensors that hold this one, with the names of W-11 for their single chunk."""
        if self.encoding is None:
            yield name, self
            return
        for key, part in sorted(self.components.items()):
            yield from part.physical(f"{name}#{key}")

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}{list(self.shape)}{', ' + self.encoding if self.encoding else ''})"


def _as_array(values: Any) -> Array:
    """Any array-like as an array, without loss: numpy's own text types drop zero bytes at the end of an item."""
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray | np.generic):
        return np.asarray(values, dtype=object)
    return array.astype(object) if array.dtype.kind == "T" else array


def _check_plain(dtype: str) -> None:
    if dtypes.by_name(dtype, "").safetensors is None:
        raise error("tensor-promise", found=f"dtype {dtype} needs an encoding, so the array itself: use Tensor.of")


_OBJECT_DTYPES: dict[str, set[type]] = {"string": {str, np.str_}, "bytes": {bytes, np.bytes_}}


def _dtype_name(array: Array, promised: str | None) -> str:
    """The logical dtype that an array shows, or else the promised one."""
    name = {"U": "string", "S": "bytes"}.get(array.dtype.kind)
    if array.dtype.kind == "O":
        kinds = {type(item) for item in array.reshape(-1)}
        fitting = [name for name, types in _OBJECT_DTYPES.items() if kinds <= types and promised in {None, name}]
        if len(fitting) != 1:
            found = f"an array of objects of the types {sorted(kind.__name__ for kind in kinds)}"
            raise error("dtype-unknown", found=found, hint="Pass `dtype` for an empty array.")
        name = fitting[0]
    name = name or dtypes.of_array(array).name
    if promised not in {None, name}:
        raise error("tensor-promise", found=f"an array of {name}, and {promised} was promised")
    return name


def _check_box(box: Sequence[slice], shape: Shape) -> tuple[slice, ...]:
    if len(box) > len(shape) or any(part.step not in {None, 1} for part in box):
        raise error("box-form", found=shown(box))
    slices = [slice(*part.indices(size)) for part, size in zip(box, shape, strict=False)]
    slices += [slice(0, size) for size in shape[len(box) :]]
    return tuple(slice(part.start, max(part.start, part.stop)) for part in slices)
