"""Element types and attributes of untrusted HDF5 files, and the import of h5py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from etui.errors import error, shown

_TEXT_BYTES = 1024 * 1024
# What libhdf5 and the allocator take beside the texts that are fetched.
_SPARE_BYTES = 16 * _TEXT_BYTES
_STATUS = Path("/proc/self/statm")
# Types that HDF5 does not know are opaque bytes there; the attribute `dtype` names them. Keras leaves it out for its
# only type of one byte.
OPAQUE = {
    (2, "bfloat16"): np.dtype(ml_dtypes.bfloat16),
    (1, None): np.dtype(ml_dtypes.float8_e4m3fn),
    (1, "float8_e4m3fn"): np.dtype(ml_dtypes.float8_e4m3fn),
    (1, "float8_e5m2"): np.dtype(ml_dtypes.float8_e5m2),
}


def load_h5py() -> ModuleType:
    """The module h5py.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise error("extra-hdf5") from None
    module: ModuleType = h5py
    return module


def element_type(kind: Any, attrs: dict[str, str], where: str) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtype of the stored bytes, either byte order, and the little-endian dtype that they are handed out as.

    Args:
        kind: an `h5py.h5t.TypeID`.
        attrs: attributes of the dataset.
        where: the place, for messages.

    Raises:
        UnsupportedError: ``hdf5-type``, no plain number, or one with odd bit fields.
    """
    from h5py import h5t

    if kind.get_class() == h5t.OPAQUE:
        dtype = OPAQUE.get((kind.get_size(), attrs.get("dtype")))
        if dtype is None:
            raise error("hdf5-type", where=where, found=f"{kind.get_size()} opaque bytes, {shown(attrs.get('dtype'))}")
        return np.dtype(f"V{dtype.itemsize}"), dtype
    for stored, template in _templates():
        if kind.equal(template):
            return stored, stored.newbyteorder("<")
    raise error("hdf5-type", where=where, found=f"class {kind.get_class()} of {kind.get_size()} bytes")


@cache
def _templates() -> list[tuple[np.dtype[Any], Any]]:
    """Each numpy dtype that may be stored, with the HDF5 type that is exactly it."""
    from h5py import h5t

    names = ["i1", "u1", *(f"{kind}{size}" for kind in "iu" for size in (2, 4, 8)), "f2", "f4", "f8", "c8", "c16"]
    dtypes = [np.dtype(order + name) for name in names for order in ("<>" if name[-1] != "1" else "|")]
    return [(dtype, h5t.py_create(dtype)) for dtype in (*dtypes, np.dtype(np.bool_))]


def attribute_text(attribute: Any, where: str, limit: int = _TEXT_BYTES) -> str:
    """The text of a scalar string attribute.

    Args:
        attribute: an `h5py.h5a.AttrID`.
        where: the place, for messages.
        limit: bytes of the text at most.

    Raises:
        InvalidError: ``hdf5-attribute``, something else than one text within the limit.
    """
    from h5py import h5t

    kind = attribute.get_type()
    if kind.get_class() != h5t.STRING or attribute.shape != ():
        raise error("hdf5-attribute", where=where, found=f"class {kind.get_class()}, shape {attribute.shape}")
    if attribute.get_storage_size() > limit:
        raise error("hdf5-attribute", where=where, found=f"{attribute.get_storage_size()} bytes")
    return _texts(attribute, where, limit)[0]


def attribute_list(attribute: Any, where: str, limit: int) -> list[str] | None:
    """The texts of a string attribute with one dimension, or `None` if it has none; without elements, any type will do.

    Args:
        attribute: an `h5py.h5a.AttrID`.
        where: the place, for messages.
        limit: bytes of all its texts at most.

    Raises:
        InvalidError: ``hdf5-attribute``, something else than a list of texts within the limit.
    """
    from h5py import h5s, h5t

    if attribute.shape == () and attribute.get_space().get_simple_extent_type() != h5s.NULL:
        return None
    kind, shape = attribute.get_type(), attribute.shape
    if shape is None or 0 in shape:
        return []
    if kind.get_class() != h5t.STRING or len(shape) != 1:
        raise error("hdf5-attribute", where=where, found=f"class {kind.get_class()}, shape {shape}")
    if attribute.get_storage_size() > min(limit, _TEXT_BYTES):
        raise error("hdf5-attribute", where=where, found=f"{attribute.get_storage_size()} bytes")
    return _texts(attribute, where, limit)


def _texts(attribute: Any, where: str, limit: int) -> list[str]:
    """The elements of a string attribute.

    Elements of varying length may all name one long text, so that a few bytes stand for gigabytes, and libhdf5 fetches
    all of them in one call: the memory of the process is bounded while it does.
    """
    variable = attribute.get_type().is_variable_str()
    value = np.empty(attribute.shape, attribute.dtype)
    try:
        with bounded_memory(2 * limit + _SPARE_BYTES) if variable else nullcontext():
            attribute.read(value)
    except (MemoryError, OSError, RuntimeError) as reason:
        if variable:
            raise error("hdf5-attribute", where=where, found=f"texts that cannot be fetched: {reason}") from None
        raise
    texts, size = [], 0
    for raw in value.reshape(-1):
        data = raw if isinstance(raw, bytes) else str(raw).encode("utf-8", "surrogateescape")
        size += len(data)
        if size > limit:
            raise error("hdf5-attribute", where=where, found=f"texts of more than {limit} bytes")
        try:
            texts.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            raise error("hdf5-attribute", where=where, found=shown(data)) from None
    return texts


@contextmanager
def bounded_memory(spare: int) -> Iterator[None]:
    """Let this process take no more than `spare` bytes beside what it has, where the system can tell and bound it."""
    try:
        import resource

        pages = int(_STATUS.read_text().split()[0])
    except (ImportError, OSError, ValueError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + spare
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
