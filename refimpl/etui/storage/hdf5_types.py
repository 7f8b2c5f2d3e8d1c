"""Element types and attributes of untrusted HDF5 files, and the import of h5py."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from etui.errors import error, shown

_TEXT_BYTES = 1024 * 1024
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


def attribute_text(attribute: Any, where: str) -> str:
    """The text of a scalar string attribute.

    Raises:
        InvalidError: ``hdf5-attribute``, something else than one short text.
    """
    from h5py import h5t

    kind = attribute.get_type()
    if kind.get_class() != h5t.STRING or attribute.shape != ():
        raise error("hdf5-attribute", where=where, found=f"class {kind.get_class()}, shape {attribute.shape}")
    if attribute.get_storage_size() > _TEXT_BYTES:
        raise error("hdf5-attribute", where=where, found=f"{attribute.get_storage_size()} bytes")
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    raw: Any = value[()]
    data = raw if isinstance(raw, bytes) else str(raw).encode("utf-8", "surrogateescape")
    if len(data) > _TEXT_BYTES:
        raise error("hdf5-attribute", where=where, found=f"{len(data)} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise error("hdf5-attribute", where=where, found=shown(data)) from None
