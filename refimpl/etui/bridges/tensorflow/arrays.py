"""Tensors of a bundle as neutral tensors, and the other way round."""

from __future__ import annotations

from typing import Any

from etui import dtypes
from etui.containers.tensors import Tensor
from etui.errors import error
from etui.storage.tf_bundle import BundleTensor
from etui.storage.tf_bundle_writer import Outgoing

_VARIANT, _SHAPE = "variant", "shape"


def tensor_of(stored: BundleTensor) -> Tensor:
    """A tensor of the bundle, lazy where its dtype is that of a plain one; slices become chunks.

    Raises:
        InvalidError: ``chunk-cover``, slices that leave a gap or overlap.
        RejectError: ``bundle-crc``, ``bundle-string``, of a tensor that has to be read now.
    """
    if stored.slices:
        pieces = [
            (offset, Tensor.lazy(part.dtype, part.shape, part.read, fixed=True)) for offset, part in stored.slices
        ]
        return Tensor.chunked(stored.dtype, stored.shape, pieces)
    if dtypes.by_name(stored.dtype, stored.name).safetensors is not None:
        return Tensor.lazy(stored.dtype, stored.shape, stored.read, fixed=True)
    return Tensor.of(stored.read(), dtype=stored.dtype)


def data_of(stored: BundleTensor) -> Any:
    """Any tensor of the bundle as a value of a document: a variant is its shape and its stored bytes."""
    if stored.dtype != _VARIANT:
        return tensor_of(stored)
    return {_SHAPE: list(stored.shape), _VARIANT: Tensor.of(stored.read())}


def outgoing(key: str, value: Any) -> Outgoing:
    """What `tensor_of` or `data_of` gave, to be written under a key.

    Raises:
        TransferError: ``checkpoint-objects``, it is neither.
    """
    if isinstance(value, Tensor):
        return Outgoing(key, value.dtype, value.shape, value.numpy)
    if isinstance(value, dict) and value.keys() == {_SHAPE, _VARIANT} and isinstance(value[_VARIANT], Tensor):
        return Outgoing(key, _VARIANT, tuple(value[_SHAPE]), value[_VARIANT].numpy)
    raise error("checkpoint-objects", where=key, found="a value that is no tensor")
