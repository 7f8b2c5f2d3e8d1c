"""Tensors in the dtypes that TensorFlow.js loads (SPEC.md, annex H.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etui.bridges.tfjs.vocabulary import WEIGHT_DTYPES
from etui.bridges.tfjs.weight import DTYPES, Weight
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.report import Report

_INT32 = np.iinfo(np.int32)
_BY_NEUTRAL = {neutral: name for name, neutral in DTYPES.items()} | {"string": "string"}


@dataclass(slots=True)
class Narrowing:
    """Brings weights to a dtype of TensorFlow.js.

    Attributes:
        paths: of variables, by the identity of their tensors.
        report: gets an entry for each weight that is cast.
    """

    paths: Mapping[int, str]
    report: Report

    def weight(self, name: str, tensor: Tensor) -> tuple[Weight, Tensor]:
        """The entry of a weight and the tensor that it holds."""
        dtype = tensor.dtype
        found = dtype if dtype in WEIGHT_DTYPES else _narrowed(dtype)
        if found != dtype:
            self._account(name, tensor, found)
            tensor = _cast(tensor, found)
        return Weight(name, tensor.shape, _BY_NEUTRAL[found]), tensor

    def _account(self, name: str, tensor: Tensor, found: str) -> None:
        path = self.paths.get(id(tensor), name)
        detail = f"{tensor.dtype} becomes {found}"
        if found == "int32" and tensor.dtype in ("int64", "uint64", "uint32"):
            elements = tensor.numpy()
            if elements.size and not _INT32.min <= int(elements.min()) <= int(elements.max()) <= _INT32.max:
                self.report.add("variable", path, "not-transferable", f"{detail}, which does not hold its elements")
                return
        self.report.add("variable", path, "cast", detail)


def _narrowed(dtype: str) -> str:
    if dtype.startswith("complex"):
        return "complex64"
    return "int32" if dtype.startswith(("int", "uint")) else "float32"


def _cast(tensor: Tensor, dtype: str) -> Tensor:
    def load() -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return tensor.numpy().astype(dtype)

    return Tensor.of(load()) if dtype == "complex64" else Tensor.lazy(dtype, tensor.shape, load)
