"""The tensors of a module, each with the variable that it is (SPEC.md, annex M.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from etui.bridges.torch.arrays import array_of, view_of
from etui.bridges.torch.binding import Binding, Layout, bindings, source_of
from etui.bridges.torch.files_names import path_of
from etui.bridges.torch.optimizers import Target
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.dtypes import DTYPES
from etui.errors import EtuiError, error, shown
from etui.model import Model

Choice = str | tuple[str, Any] | None
Mapped = Mapping[str, Choice] | Callable[[str], Choice]
_TRANSFORMS = ("transpose", "convolution")


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor of a module.

    Attributes:
        names: its keys in `state_dict()`; several where it is tied.
        tensor: itself, a parameter or a buffer.
        binding: the variable that it is.
    """

    names: tuple[str, ...]
    tensor: Any
    binding: Binding

    @property
    def is_parameter(self) -> bool:
        """Whether an optimizer may train it."""
        return isinstance(self.tensor, nn.Parameter)

    @property
    def target(self) -> Target:
        """What an optimizer sees."""
        return Target(self.binding.path, self.tensor, self.binding)


def require_module(module: Any) -> Any:
    """The module itself; of a compiled one, the module inside.

    Raises:
        UsageError: ``torch-module-type``, it is none.
    """
    if not isinstance(module, nn.Module):
        raise error("torch-module-type", found=shown(type(module).__qualname__))
    return module.__dict__.get("_modules", {}).get("_orig_mod", module)


def origin(module: Any) -> Model | None:
    """The core model of a module that `to_module` made, with its current weights; `None` of another module."""
    try:
        return source_of(module)
    except EtuiError:
        return None


def places(module: Any) -> list[Place]:
    """The tensors of a module in the order of its variables."""
    held = module.state_dict(keep_vars=True)
    if origin(module) is not None:
        return [Place(one.names or (one.name,), held[one.name], one) for one in bindings(module)]
    return plain_places(held)


def plain_places(held: Mapping[str, Any]) -> list[Place]:
    """The tensors of a `state_dict`, each at the path that its name is."""
    names: dict[int, list[str]] = {}
    for name, tensor in held.items():
        if isinstance(tensor, torch.Tensor):
            names.setdefault(id(tensor), []).append(name)
    found = []
    for keys in names.values():
        tensor = held[keys[0]]
        shape = tuple(tensor.shape)
        trains = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        role = keys[0].rpartition(".")[2] or "weight"
        binding = Binding(path_of(keys[0]), keys[0], Layout(), shape, shape, role, trains, tuple(keys))
        found.append(Place(tuple(keys), tensor, binding))
    return found


def weights_of(found: list[Place]) -> Weights:
    """The variables of a module that its user wrote, read when they are asked for; tied names are aliases."""
    weights = Weights()
    for place in found:
        weights.add(place.binding.path, lazy(place.tensor), role=place.binding.role, trainable=place.binding.trainable)
    for place in found:
        for name in place.names[1:]:
            weights.aliases[path_of(name)] = place.binding.path
    return weights


def lazy(tensor: Any) -> Tensor:
    """A tensor of torch, read whenever it is asked for; at once where its dtype needs an encoding."""
    if DTYPES[dtype_name(tensor)].safetensors is None:
        return Tensor.of(array_of(tensor))
    return Tensor.lazy(
        dtype_name(tensor), tuple(tensor.shape), partial(array_of, tensor), view=partial(view_of, tensor)
    )


def dtype_name(tensor: Any) -> str:
    """The name of a tensor's dtype."""
    return str(tensor.dtype).removeprefix("torch.")


def mapped(place: Place, choices: Mapped | None) -> Place | None:
    """A place with the variable that a map names for it.

    Args:
        place: of the module.
        choices: name of a tensor of the module -> path of a variable, or a pair of it and a transform; a name that a
            map does not have stands for its own path, and `None` leaves the tensor as it is.

    Returns:
        The place, or `None` where it is to stay as it is.

    Raises:
        UsageError: ``torch-map``.
    """
    if choices is None:
        return place
    choice: Any = None
    if callable(choices):
        choice = choices(place.names[0])
    else:
        given = [name for name in place.names if name in choices]
        choice = choices[given[0]] if given else place.binding.path
    if choice is None:
        return None
    path, transform = choice if isinstance(choice, tuple) and len(choice) == 2 else (choice, None)
    if not isinstance(path, str):
        raise error("torch-map", where=place.names[0], found=shown(choice))
    layout, core = _layout(place, transform)
    shape = tuple(place.tensor.shape)
    binding = place.binding
    if transform is None and path == binding.path:
        return place
    if transform is None:
        layout, core = binding.layout, binding.core_shape
    changed = Binding(path, binding.name, layout, core, shape, binding.role, binding.trainable, place.names)
    return Place(place.names, place.tensor, changed)


def _layout(place: Place, transform: Any) -> tuple[Layout, tuple[int, ...]]:
    """The layout that a transform is, and the variable's shape for the tensor's."""
    shape = tuple(place.tensor.shape)
    rank = len(shape)
    if transform is None:
        return Layout(), shape
    axes: Any = transform
    if transform == "transpose":
        axes = tuple(reversed(range(rank)))
    elif transform == "convolution":
        # [*spatial, in, out] is [out, in, *spatial] in torch.
        axes = (rank - 1, rank - 2, *range(rank - 2))
    if not isinstance(axes, tuple | list) or sorted(axes) != list(range(rank)):
        hint = f"Transforms: {', '.join(_TRANSFORMS)}, or a permutation of the variable's axes."
        raise error("torch-map", where=place.names[0], found=f"the transform {shown(transform)}", hint=hint)
    core = [0] * rank
    for at, axis in enumerate(axes):
        core[axis] = shape[at]
    return Layout(axes=tuple(axes)), tuple(core)
