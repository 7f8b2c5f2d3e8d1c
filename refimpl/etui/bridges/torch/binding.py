"""Which tensor of a torch module is which variable of the etui, and how its elements are laid out.

Each variable is one whole tensor of the module: never a part of one, never two. So whatever an optimizer or a rule does
to a variable (a norm, a decay, a slot), it does to a parameter of torch. A layout only moves elements; it never changes
one. What holds for a variable therefore holds for each of its slots that has the variable's shape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from etui.bridges.torch.arrays import array_of, view_of
from etui.containers.config import Config
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.errors import error
from etui.model import Model

_RECORD = "_etui_record"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the elements of a variable are laid out in torch; without arguments: as in the etui.

    Attributes:
        blocks: the last axis, cut in this many equal blocks, has them in this order (torch's first block is
            `blocks[0]` of the variable); `None` for the same order.
        axes: then the axes are permuted: torch's axis `i` is the variable's axis `axes[i]`; `None` for the same.
        shape: then the array is reshaped; `None` for the same shape.
    """

    blocks: tuple[int, ...] | None = None
    axes: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None

    def forward(self, array: Any, *, core_shape: tuple[int, ...]) -> Any:
        """The array or tensor in torch's layout: a view where only axes move."""
        if self.blocks is not None:
            array = _reordered(array, core_shape, self.blocks)
        if self.axes is not None:
            array = _permuted(array, self.axes)
        return array if self.shape is None else array.reshape(self.shape)

    def backward(self, array: Any, *, core_shape: tuple[int, ...]) -> Any:
        """The array or tensor in the etui's layout; undoes `forward`."""
        if self.shape is not None:
            array = array.reshape([core_shape[axis] for axis in self.axes or range(len(core_shape))])
        if self.axes is not None:
            array = _permuted(array, _inverse(self.axes))
        return array if self.blocks is None else _reordered(array, core_shape, _inverse(self.blocks))


def _permuted(array: Any, axes: tuple[int, ...]) -> Any:
    return array.permute(axes) if isinstance(array, torch.Tensor) else array.transpose(axes)


def _reordered(array: Any, shape: tuple[int, ...], blocks: tuple[int, ...]) -> Any:
    cut = array.reshape(*shape[:-1], len(blocks), shape[-1] // len(blocks))
    return cut[..., list(blocks), :].reshape(shape)


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(place) for place in range(len(order)))


@dataclass(frozen=True, slots=True)
class Binding:
    """One variable and its tensor.

    Attributes:
        path: the variable's path in the etui.
        name: key of its tensor in `module.state_dict()`.
        layout: how the elements are laid out.
        core_shape: the variable's shape in the etui.
        torch_shape: the tensor's shape.
        role: what the variable is to its module: ``kernel``, ``bias``, …
        trainable: whether training changes it by gradients; only such are parameters that require gradients.
        names: every key of the state_dict that holds this tensor, `name` first.
    """

    path: str
    name: str
    layout: Layout
    core_shape: tuple[int, ...]
    torch_shape: tuple[int, ...]
    role: str = ""
    trainable: bool = True
    names: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[int, ...] | None:
        """The permutation from the etui's axes to torch's, before any reshaping; `None` where they are the same."""
        return self.layout.axes

    def to_torch(self, array: Array) -> Array:
        """Elements of the variable, or of a slot of its shape, as the tensor has them.

        Args:
            array: of shape `core_shape` and any dtype.

        Returns:
            The array of shape `torch_shape`, a view where it can be one.

        Raises:
            TransferError: ``torch-shape``.
        """
        self._check(array.shape, self.core_shape)
        result: Array = self.layout.forward(array, core_shape=self.core_shape)
        return result

    def to_core(self, array: Array) -> Array:
        """Elements of the tensor, or of an optimizer's state of its shape, as the variable has them.

        Args:
            array: of shape `torch_shape` and any dtype.

        Returns:
            The array of shape `core_shape`, a view where it can be one.

        Raises:
            TransferError: ``torch-shape``.
        """
        self._check(array.shape, self.torch_shape)
        result: Array = self.layout.backward(array, core_shape=self.core_shape)
        return result

    def live(self, tensor: torch.Tensor, dtype: str) -> Tensor:
        """A tensor of shape `torch_shape` as the variable, read whenever it is asked for.

        Args:
            tensor: of a dtype that safetensors has.
            dtype: its name.
        """

        def load() -> Array:
            return np.ascontiguousarray(self.to_core(array_of(tensor))).reshape(self.core_shape)

        return Tensor.lazy(dtype, self.core_shape, load, view=lambda: self.to_core(view_of(tensor)))

    def core_view(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same as `to_core` for a tensor: gradients flow through it."""
        result: torch.Tensor = self.layout.backward(tensor, core_shape=self.core_shape)
        return result

    def torch_view(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same as `to_torch` for a tensor."""
        result: torch.Tensor = self.layout.forward(tensor, core_shape=self.core_shape)
        return result

    def _check(self, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if tuple(found) != expected:
            raise error("torch-shape", where=self.path, found=f"{list(found)}, not {list(expected)}")


@dataclass(slots=True)
class Record:
    """What a module that `to_module` made knows of its origin; copies of the module share it.

    Attributes:
        model: the core model without the variables that the module holds: `weights` has only those that it does not.
        bindings: of every variable that the module holds, in the model's own order.
        order: path of every variable in the model's own order.
        aliases: path -> path of the variable that it shares.
        module_names: path of a module of the config -> name of its torch module, as in `named_modules()`.
    """

    model: Model
    bindings: list[Binding] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    module_names: dict[str, str] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def set_record(module: nn.Module, record: Record) -> None:
    """Make a module one that `bindings` and `source_of` know."""
    module.__dict__[_RECORD] = record


def record_of(module: nn.Module) -> Record:
    """The record of a module that `to_module` made; a compiled one's is that of the module inside.

    Raises:
        UsageError: ``torch-module``, another module.
    """
    inner = module.__dict__.get("_modules", {}).get("_orig_mod", module)
    record = inner.__dict__.get(_RECORD)
    if not isinstance(record, Record):
        raise error("torch-module", found=type(module).__name__)
    return record


def bindings(module: nn.Module) -> list[Binding]:
    """The variables of a module that `to_module` made, in the model's own order.

    Names are those of the module itself: a compiled one's have `_orig_mod.` before them, as torch gives them.

    Raises:
        UsageError: ``torch-module``, another module.
    """
    return list(record_of(module).bindings)


def source_of(module: nn.Module) -> Model:
    """The core model of a module that `to_module` made: its config, and weights that are read from the module.

    Each variable is read when it is asked for, as the module has it then. Optimizer and state are not there.

    Raises:
        UsageError: ``torch-module``, another module.
    """
    record = record_of(module)
    inner = module.__dict__.get("_modules", {}).get("_orig_mod", module)
    held = inner.state_dict(keep_vars=True)
    weights = Weights(aliases=dict(record.aliases))
    own = {binding.path: binding for binding in record.bindings}
    kept = record.model.weights.variables if record.model.weights is not None else {}
    for path in record.order:
        if path in own:
            weights.variables[path] = _live_variable(own[path], held[own[path].name])
        else:
            weights.variables[path] = kept[path]
    config = Config(record.model.config.model, record.model.config.extra) if record.model.config else None
    return Model(
        config=config,
        weights=weights,
        training=record.model.training,
        assets=dict(record.model.assets),
        metadata=dict(record.model.metadata),
    )


def _live_variable(binding: Binding, tensor: torch.Tensor) -> Variable:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Variable(binding.live(tensor, dtype), binding.role, binding.trainable)
