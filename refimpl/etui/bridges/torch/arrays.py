"""numpy arrays as torch tensors and back, bit for bit, for every dtype that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from etui import dtypes
from etui.containers.pieces import Array
from etui.errors import error

# numpy has no such dtypes of its own, and torch takes none of ml_dtypes' arrays: the bits go as integers.
_BY_BITS = {
    "bfloat16": (torch.bfloat16, np.int16),
    "float8_e4m3fn": (torch.float8_e4m3fn, np.uint8),
    "float8_e5m2": (torch.float8_e5m2, np.uint8),
}
if hasattr(torch, "float8_e8m0fnu"):  # torch 2.7 on
    _BY_BITS["float8_e8m0fnu"] = (torch.float8_e8m0fnu, np.uint8)
_NAMES = {dtype: name for name, (dtype, _) in _BY_BITS.items()}


def torch_dtype(name: str) -> torch.dtype:
    """The torch dtype of a name of SPEC.md chapter 2.1.

    Raises:
        TransferError: ``torch-dtype``, torch has none of that name.
    """
    dtype = getattr(torch, name, None)
    if name not in dtypes.DTYPES or not isinstance(dtype, torch.dtype):
        raise error("torch-dtype", found=name)
    return dtype


def tensor_of(array: Array) -> torch.Tensor:
    """A tensor of an array's elements, in memory of its own.

    Args:
        array: of any shape, in any memory order; read-only arrays are not changed.

    Raises:
        TransferError: ``torch-dtype``, torch has no such dtype.
    """
    name = dtypes.of_array(array).name if array.dtype.kind != "O" else "string"
    dtype = torch_dtype(name)
    if name in _BY_BITS:
        bits = np.array(array, order="C").view(_BY_BITS[name][1])
        return torch.from_numpy(bits).view(dtype)
    return torch.from_numpy(np.array(array, dtype=dtypes.DTYPES[name].numpy.newbyteorder("="), order="C"))


def array_of(tensor: torch.Tensor) -> Array:
    """A tensor's elements as an array in memory of its own, in C order; ml_dtypes' types where numpy has none.

    Raises:
        TransferError: ``torch-dtype``, chapter 2.1 has no such dtype.
    """
    return np.array(view_of(tensor), order="C")


def view_of(tensor: torch.Tensor) -> Array:
    """A tensor's elements where they are, with any strides; a copy only where another device or a lazy bit needs it.

    Raises:
        TransferError: ``torch-dtype``, chapter 2.1 has no such dtype.
    """
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    name = _NAMES.get(plain.dtype)
    if name is not None:
        bits = plain.view(torch.int16 if plain.element_size() > 1 else torch.uint8)
        return bits.numpy().view(dtypes.DTYPES[name].numpy)
    try:
        array: np.ndarray[Any, np.dtype[Any]] = plain.numpy()
    except TypeError as fault:
        raise error("torch-dtype", found=str(plain.dtype)) from fault
    return array
