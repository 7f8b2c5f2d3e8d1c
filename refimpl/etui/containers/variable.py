"""A variable: a named tensor of a model, and what the model does with it (SPEC.md chapter 12)."""

from __future__ import annotations

from dataclasses import dataclass

from etui.containers.cover import Shape
from etui.containers.tensors import Array, Tensor


@dataclass(slots=True)
class Variable:
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

    def _repr_html_(self) -> str:
        """For notebooks."""
        from etui.viewing.notebook import html_of

        return html_of(self)
