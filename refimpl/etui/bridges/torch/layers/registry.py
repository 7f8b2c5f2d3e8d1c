"""How torch modules for core ops are written down and found.

A maker is a function of a `Spec`, which knows one module of the config, that gives an `nn.Module`::

    @layer("dense")
    def dense(spec: Spec) -> nn.Module:
        module = Dense(...)
        spec.bind(module, "weight", "kernel", Layout(axes=(1, 0)))
        return module

Modules are made on torch's `meta` device, without memory; `Spec.bind` gives each variable its tensor.
A `Step` calls the module with the inputs in the order of the vocabulary, and with ``mask=``, ``training=`` and the like
where the op takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import torch
from torch import nn

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.steps import Step
from etui.containers.config import Module
from etui.core.registry import Registry, function_itself
from etui.core.vocabulary import Op
from etui.errors import error

SAME = Layout()

_FAMILIES = (
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "linear",
    "normalization",
    "pooling",
    "preprocessing",
    "random",
    "recurrent",
    "shaping",
    "wrappers",
)


class Home(Protocol):
    """Who makes modules: gives makers the tensors of variables and the modules of children.

    Attributes:
        mixed: whether modules compute in a dtype that is not that of their parameters.
    """

    mixed: bool

    def tensor(self, spec: Spec, role: str, layout: Layout, module: nn.Module, attribute: str) -> None:
        """Set an attribute of a module to the tensor of a variable."""

    def child(self, spec: Spec, name: str) -> tuple[nn.Module, Step]:
        """The module of a child, and how it is called."""

    def shape(self, spec: Spec, role: str) -> tuple[int, ...]:
        """The shape of a variable."""

    def penalty(self, spec: Spec) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """The regularizer of activity, if there is one."""


@dataclass(slots=True)
class Spec:
    """One module of the config, as its maker sees it.

    Attributes:
        path: of the module, for messages; empty for the root.
        module: the module of the config.
        op: its entry in the vocabulary.
        attrs: all of its attributes, defaults filled in.
        home: who makes it.
    """

    path: str
    module: Module
    op: Op
    attrs: dict[str, Any]
    home: Home
    bound: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        """An attribute."""
        return self.attrs[name]

    def has(self, role: str) -> bool:
        """Whether the module has a variable of that role."""
        return role in self.module.params

    def shape(self, role: str) -> tuple[int, ...]:
        """The shape of a variable.

        Raises:
            TransferError: ``torch-variable``, the module has none of that role.
        """
        if not self.has(role):
            raise error("torch-variable", where=self.path, found=f"no {role}")
        return self.home.shape(self, role)

    def bind(self, module: nn.Module, attribute: str, role: str, layout: Layout = SAME) -> None:
        """Make an attribute of a torch module the tensor of the variable, or `None` if there is no such variable.

        Args:
            module: the torch module whose state_dict is to have the tensor.
            attribute: its name there; a name that is registered as a buffer stays one.
            role: of the variable.
            layout: of its elements in torch.

        Raises:
            TransferError: ``torch-variable``, a tensor of another shape is needed.
        """
        self.bound.add(role)
        if self.has(role):
            self.home.tensor(self, role, layout, module, attribute)
        elif attribute in module._buffers:  # noqa: SLF001  torch has no public way to unset one
            module._buffers[attribute] = None  # noqa: SLF001
        else:
            module.register_parameter(attribute, None)

    def child(self, name: str) -> tuple[nn.Module, Step]:
        """The torch module of a child module, and how it is called.

        Raises:
            TransferError: ``torch-op``, ``torch-value`` or ``torch-variable``, it cannot be made.
        """
        return self.home.child(self, name)

    def refuse(self, attribute: str, hint: str = "") -> NoReturn:
        """Refuse the value of an attribute that torch cannot honour.

        Raises:
            TransferError: ``torch-value``.
        """
        found = f"{self.module.op} with {attribute}={self.attrs.get(attribute)!r}"
        raise error("torch-value", where=self.path, found=found, hint=hint)


Maker = Callable[[Spec], nn.Module]
_MAKERS = Registry("etui.bridges.torch.layers", _FAMILIES, function_itself)


def layer(*names: str) -> Callable[[Maker], Maker]:
    """Write down the decorated function as the maker of modules for the ops ``core:<name>``."""

    def keep(maker: Maker) -> Maker:
        for name in names:
            _MAKERS.write(name)(maker)
        return maker

    return keep


def makers() -> Mapping[str, Maker]:
    """The makers by the name of their op, without its namespace."""
    return _MAKERS.entries


def floating(x: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """A tensor of floats: as it is, or integers and booleans as floats of the dtype of `like`, else torch's default."""
    if x.is_floating_point() or x.is_complex():
        return x
    return x.to(like.dtype if like is not None and like.is_floating_point() else torch.get_default_dtype())


def shown_attrs(**attrs: Any) -> str:
    """Attributes as `extra_repr` shows them; what is `None` is left out."""
    return ", ".join(f"{name}={value}" for name, value in attrs.items() if value is not None)
