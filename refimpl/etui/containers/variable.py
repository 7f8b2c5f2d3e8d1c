"""A variable: a named tensor of a model, and what the model does with it (SPEC.md chapter 12)."""

from __future__ import annotations

from dataclasses import dataclass

from etui.containers.cover import Shape
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.notebooks import InNotebooks


@dataclass(slots=True)
class Variable(InNotebooks):
    """A named tensor of a model.

    Attributes:
        tensor: dtype, shape and elements.
        role: what it is to its module: ``kernel``, ``bias``, ``gamma``, ``moving_mean``, …
        trainable: whether training changes it by gradients.
    """

    tensor: Tensor
    role: str
    trainable: bool = True

    @property
    def dtype(self) -> str:
        """The logical dtype."""
        return self.tensor.dtype

    @property
    def shape(self) -> Shape:
        """The logical shape."""
        return self.tensor.shape

    def numpy(self) -> Array:
        """The elements; see `Tensor.numpy`."""
        return self.tensor.numpy()
