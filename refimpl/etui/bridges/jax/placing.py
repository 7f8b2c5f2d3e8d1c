"""Elements between stored tensors and devices of JAX: each process fetches and places what its own devices have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from etui import dtypes
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.errors import EtuiError, error, shown

_HALVES = {"complex64": "float32", "complex128": "float64"}


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of random keys with a type of its own, or stands for one."""
    known = isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct))
    return known and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


@dataclass(frozen=True, slots=True)
class OnDevices:
    """The elements of a leaf, fetched when they are asked for.

    Attributes:
        value: the leaf; of an array of JAX on several devices, `save_distributed` fetches the boxes one by one.
        where: its path, for messages.
        in_pairs: whether a complex number counts as an axis of its real and its imaginary part.
    """

    value: Any
    where: str
    in_pairs: bool = False

    def __call__(self) -> Array:
        """All elements.

        Raises:
            TransferError: ``jax-leaf``, an array of which this process has only a part.
        """
        if isinstance(self.value, jax.Array) and not self.value.is_fully_addressable | self.value.is_fully_replicated:
            found = "an array that other processes hold parts of"
            raise error("jax-leaf", where=self.where, found=found, hint="Save it with `etui.jax.save_distributed`.")
        return self.elements(self.value)

    def elements(self, part: Any) -> Array:
        """The elements of a part of the leaf, on the host."""
        array = np.asarray(part)
        if not self.in_pairs:
            return array
        half = np.float32 if array.dtype == np.complex64 else np.float64
        return np.ascontiguousarray(array).reshape(*array.shape, 1).view(half)


def tensor_of(leaf: Any, path: str) -> Tensor:
    """The tensor of a leaf; an array's elements are fetched when they are written.

    Raises:
        TransferError: ``jax-leaf``, no array or number, or an array of packed integers of which this process has only a
            part.
    """
    if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float, complex)):
        raise error("jax-leaf", where=path, found=f"a {type(leaf).__name__}")
    dtype, shape = dtype_of(leaf), tuple(np.shape(leaf))
    try:
        name = dtypes.of_array(np.empty(0, dtype)).name
    except EtuiError:  # text, of which the elements tell the dtype
        return Tensor.of(np.asarray(leaf))
    if dtypes.by_name(name, "").safetensors is not None:
        return Tensor.lazy(name, shape, OnDevices(leaf, path), constant=isinstance(leaf, jax.Array))
    if name in _HALVES:
        load = OnDevices(leaf, path, in_pairs=True)
        parts = Tensor.lazy(_HALVES[name], (*shape, 2), load, constant=isinstance(leaf, jax.Array))
        return Tensor(name, shape, encoding="complex", components={"parts": parts})
    return Tensor.of(OnDevices(leaf, path)())


def dtype_of(leaf: Any) -> Any:
    """The dtype of an array or a number; no element is fetched."""
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def stored_dtype(tensor: Tensor) -> str:
    """The dtype of a tensor's elements by NumPy's name; nothing is read."""
    return str(np.dtype(dtypes.by_name(tensor.dtype, "").numpy))


def placed_like(tensor: Tensor, leaf: Any, dtype: Any = None, convert: Callable[[Array], Array] | None = None) -> Any:
    """The elements of a tensor where a leaf has its own; a process reads those for its own devices alone.

    Args:
        tensor: of the leaf's shape.
        leaf: an array of JAX or of NumPy, a number, or a `jax.ShapeDtypeStruct`.
        dtype: of the result, by default that of the tensor.
        convert: changes elements one by one, before they are cast.
    """
    wanted = np.dtype(dtype if dtype is not None else stored_dtype(tensor))

    def made(array: Array) -> Array:
        array = array if convert is None else convert(array)
        return array if array.dtype == wanted else array.astype(wanted)

    sharding = getattr(leaf, "sharding", None)
    if sharding is None or (isinstance(leaf, jax.Array) and len(sharding.device_set) == 1):
        return like_leaf(made(tensor.numpy()), leaf)
    return sharded(tensor.shape, sharding, lambda box: made(tensor.read(box)), wanted)


def sharded(shape: tuple[int, ...], sharding: Any, read: Callable[[tuple[slice, ...]], Array], dtype: Any) -> Any:
    """An array of JAX under a sharding, of which each box that this process needs is read once.

    Args:
        shape: of the whole array.
        sharding: of JAX.
        read: gives the elements of a box, of `dtype`.
        dtype: of the array.

    Raises:
        TransferError: ``jax-sharding``, the sharding does not divide the shape.
    """
    check_sharding(sharding, shape)
    boxes = sharding.addressable_devices_indices_map(shape)
    left = Counter(map(_box_key, boxes.values()))
    kept: dict[Any, Array] = {}

    def part(box: tuple[slice, ...]) -> Array:
        key = _box_key(box)
        # A copy: devices of the host use memory as it is, and this may be mapped from a file.
        found = kept.pop(key) if key in kept else np.array(read(box))
        left[key] -= 1
        if left[key] > 0:
            kept[key] = found
        return found

    return jax.make_array_from_callback(shape, sharding, part, dtype=dtype)


def check_sharding(sharding: Any, shape: tuple[int, ...], where: str = "") -> None:
    """Whether an array of a shape can have a sharding.

    Raises:
        TransferError: ``jax-sharding``.
    """
    spec = getattr(sharding, "spec", ())
    if len(spec) > len(shape):
        raise error("jax-sharding", where=where, found=f"{spec} for an array of rank {len(shape)}")
    try:
        sharding.shard_shape(shape)
    except ValueError as fault:  # it does not divide the shape
        raise error("jax-sharding", where=where, found=shown(str(fault), 300)) from fault


def _box_key(box: tuple[slice, ...] | None) -> tuple[tuple[Any, Any], ...]:
    return tuple((one.start, one.stop) for one in box or ())


def like_leaf(array: Any, leaf: Any) -> Any:
    """An array of the kind that a leaf is: of JAX on the leaf's devices, of NumPy, or a number."""
    if isinstance(leaf, jax.Array):
        if len(leaf.sharding.device_set) > 1:
            return sharded(array.shape, leaf.sharding, lambda box: array[box], array.dtype)
        # What JAX may move to other devices stays so: a counter goes with arrays wherever they are.
        if not getattr(leaf, "committed", True):
            return jax.numpy.asarray(np.array(array))
        return jax.device_put(np.array(array), leaf.sharding)
    if isinstance(leaf, np.ndarray):
        return np.array(array)
    if isinstance(leaf, (bool, int, float, complex, np.generic)):
        return type(leaf)(array[()])
    return jax.numpy.asarray(array)


def implementation(leaf: Any) -> str:
    """JAX's name for the algorithm of random keys."""
    names: list[str] = []
    jax.eval_shape(lambda keys: names.append(str(jax.random.key_impl(keys))), jax.ShapeDtypeStruct((), leaf.dtype))
    return names[0]


def placed_key(words: Tensor, name: str, sharding: Any = None) -> Any:
    """Typed random keys of stored words, under a sharding of the keys."""
    if not isinstance(sharding, NamedSharding):
        made = jax.random.wrap_key_data(jax.numpy.asarray(np.array(words.numpy())), impl=name)
        return made if sharding is None else jax.device_put(made, sharding)
    spec = PartitionSpec(*sharding.spec, *[None] * (len(words.shape) - len(sharding.spec)))
    own = NamedSharding(sharding.mesh, spec, memory_kind=sharding.memory_kind)
    data = sharded(words.shape, own, words.read, stored_dtype(words))
    return jax.random.wrap_key_data(data, impl=name)
