"""Untrusted HDF5: opened behind a structural check, read without libhdf5.

libhdf5 is asked for the structure alone, in a process of its own. Everything is checked against the size of the file
before an element is read, and the elements are then read and decoded here, not by libhdf5, which follows links to
other files, inflates without bound, and trusts every size that it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui import dtypes
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.hdf5_layout import Layout, read_elements
from etui.storage.hdf5_scan import SIGNATURE, Index
from etui.storage.hdf5_worker import scan_apart


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of a checked file.

    Attributes:
        path: its place in the file, without a leading slash.
        dtype: the dtype by its name in SPEC.md chapter 2.1.
        shape: its shape.
        attrs: its attributes, texts only.
        stored: dtype of the stored bytes, in their byte order.
        layout: where they lie.
        source: the file.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    attrs: dict[str, str]
    stored: np.dtype[Any]
    layout: Layout
    source: ByteSource = field(repr=False)

    def read(self) -> np.ndarray[Any, Any]:
        """The elements: read-only, C-contiguous, little-endian; without a copy where the bytes lie in one piece.

        Raises:
            MalformedError: ``hdf5-syntax``, compressed bytes that do not decode.
            InvalidError: ``bool-value``.
        """
        array = read_elements(self.source, self.layout, self.stored, self.shape, self.path)
        if self.dtype == "bool" and array.size and array.view(np.uint8).max() > 1:
            raise error("bool-value", where=f"/{self.path}")
        array = array.view(dtypes.by_name(self.dtype, "").numpy)
        array.flags.writeable = False
        return array


@dataclass(frozen=True, slots=True)
class Hdf5File:
    """The checked structure of one HDF5 file.

    Attributes:
        groups: path -> attributes (texts), the root under the empty path; in the order of the file.
        datasets: path -> dataset.
        lists: path -> attributes of a group that are lists of texts.
    """

    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def is_hdf5(head: bytes) -> bool:
    """Whether a file with these first bytes is an HDF5 file with nothing in front of it."""
    return head.startswith(SIGNATURE)


def open_hdf5(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS, *, lists: bool = False) -> Hdf5File:
    """Check the structure of an HDF5 file and return it; no element is read.

    Args:
        source: the file's bytes; datasets read from it later.
        where: the file's name for messages.
        limits: bounds on objects, levels, names and sizes.
        lists: whether attributes of groups may be lists of texts, and texts as long as a document.

    Raises:
        MissingExtraError: h5py is not installed.
        RejectError: a code that begins with ``hdf5-`` (SPEC.md, annex B), or ``limit-foreign``.
    """
    index = scan_apart(source, where, limits, lists=lists)
    _check_extents(index, where)
    datasets = {
        path: Dataset(path, found.dtype, found.shape, found.attrs, np.dtype(found.stored), found.layout, source)
        for path, found in index.datasets.items()
    }
    return Hdf5File(index.groups, datasets, index.lists)


def _check_extents(index: Index, where: str) -> None:
    """Refuse raw bytes that belong to two datasets or chunks: small files that read as large ones."""
    extents = [
        (start, start + size, path) for path, found in index.datasets.items() for start, size in found.layout.extents()
    ]
    end, owner = 0, ""
    for start, stop, path in sorted(extents):
        if start < end:
            raise error("hdf5-shared", where=f"{where} at /{path}", found=f"bytes that belong to /{owner} too")
        end, owner = stop, path
