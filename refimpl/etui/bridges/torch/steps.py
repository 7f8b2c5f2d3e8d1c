"""How a module of a graph is called: with masks that tensors carry, in a mode, and in a precision (SPEC.md J.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.func import functional_call

from etui.core.vocabulary import Op
from etui.errors import error

Mask: TypeAlias = torch.Tensor | None

# Ops that take the mask of their first input; those that take the list of the masks of their inputs; the graphs, which
# take and give the masks of all.
_ONE_MASK = frozenset(
    {"batch_norm", "global_avg_pool", "simple_rnn", "lstm", "gru", "bidirectional", "time_distributed"}
)
_ALL_MASKS = frozenset({"mul", "max", "min", "dot_attention", "additive_attention"})
_NAMED_MASKS = {"mha": ("query_mask", "value_mask", "key_mask"), "gqa": ("query_mask", "value_mask", "key_mask")}
GRAPHS = frozenset({"graph", "sequential"})
# Ops whose variables stay in their own dtype: they compute in float32, only pick rows, or call modules of their own.
_UNCAST = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "embedding", "normalization", "bidirectional", "time_distributed"}
)
# Ops that stand for functions as well as for layers: without a precision of their own, they compute in what they get.
_UNTYPED = frozenset(
    {
        "matmul",
        "einsum",
        "cast",
        "take",
        "expand_dims",
        "squeeze",
        "broadcast_to",
        "stack",
        "split",
        "slice",
        "parameter",
    }
)


def untyped(op: Op) -> bool:
    """Whether an op without a precision of its own computes in the dtype of its inputs."""
    return op.family == "arithmetic" or op.name in _UNTYPED | GRAPHS


class Losses(list[torch.Tensor]):
    """The penalties of the last call; copies and files of a module have none, for they belong to that call's graph."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Losses:
        return Losses()

    def __reduce__(self) -> tuple[type[Losses], tuple[()]]:
        return Losses, ()


def flat(value: Any) -> list[Any]:
    """The leaves of a structure of lists, tuples and maps, in the order in which outputs are counted (C-13)."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in flat(value[key])]
    return [value]


def first_mask(mask: Any) -> Mask:
    """The mask of the first tensor of a structure."""
    found = flat(mask)
    return found[0] if found else None


@dataclass(slots=True)
class Step:
    """What is known of a module's calls.

    Attributes:
        op: of the module, without its namespace.
        rule: for the mask of its output, as the vocabulary names it.
        trains: whether its calls take ``training=``.
        axis: along which the rule `concat` puts masks together.
        activity: the regularizer of its output, or `None`.
        dtype: the dtype in which it computes, or `None` for that of its inputs.
    """

    op: str
    rule: str
    trains: bool
    axis: int = -1
    activity: Callable[[torch.Tensor], torch.Tensor] | None = None
    dtype: torch.dtype | None = None

    def run(  # noqa: PLR0917  what a call consists of
        self,
        module: nn.Module,
        args: list[Any],
        kwargs: dict[str, Any],
        masks: list[Any],
        training: bool | None,
        losses: list[torch.Tensor] | None,
    ) -> tuple[Any, list[Mask]]:
        """Call the module.

        Args:
            module: the module.
            args: its inputs.
            kwargs: the arguments of the call, which win over masks and mode.
            masks: of each input; a list of masks for a list of tensors.
            training: overrides the modules' mode, unless `None`.
            losses: takes the penalty of the output, if there is one.

        Returns:
            The output, and the mask of each tensor in it.
        """
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        own = kwargs.pop("training", training)
        if self.trains and own is not None:
            kwargs["training"] = own
        explicit = kwargs.get("mask")
        self._give_masks(kwargs, masks)
        if self.op in GRAPHS:
            kwargs["with_masks"] = True
            output, output_masks = self._call(module, args, kwargs)
        else:
            output = self._call(module, args, kwargs)
            mask = self._mask_of(module, args, kwargs, masks, explicit)
            count = len(flat(output))
            # Only the first output has a mask, but for the two of a bidirectional op that does not merge them.
            both = self.op == "bidirectional" and getattr(module, "merge", "") == "none"
            output_masks = [mask, *[mask] * both, *[None] * (count - 1 - both)]
        if self.activity is not None and losses is not None:
            for tensor in flat(output):
                if isinstance(tensor, torch.Tensor):
                    loss = self.activity(tensor)
                    losses.append(loss / tensor.shape[0] if tensor.dim() else loss)
        return output, output_masks

    def _give_masks(self, kwargs: dict[str, Any], masks: list[Any]) -> None:
        if self.op in GRAPHS:
            carried = [mask for one in masks for mask in flat(one)]
            given = flat(kwargs["mask"]) if "mask" in kwargs else [None] * len(carried)
            if len(given) != len(carried):
                raise error("torch-value", where=self.op, found=f"{len(given)} masks of {len(carried)} inputs")
            kwargs["mask"] = [own if mask is None else mask for own, mask in zip(carried, given, strict=True)]
        elif self.op in _ONE_MASK and "mask" not in kwargs:
            mask = first_mask(masks)
            if mask is not None:
                kwargs["mask"] = mask
        elif self.op in _ALL_MASKS and "mask" not in kwargs:
            every = flat(masks)
            if any(mask is not None for mask in every):
                kwargs["mask"] = every
        elif self.op in _NAMED_MASKS:
            for name, mask in zip(_NAMED_MASKS[self.op], masks, strict=False):
                if mask is not None:
                    kwargs.setdefault(name, mask)

    def _call(self, module: nn.Module, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if self.dtype is None:
            return module(*args, **kwargs)
        args = [cast(value, self.dtype) for value in args]
        kwargs = {name: cast(value, self.dtype) for name, value in kwargs.items()}
        parameters = {} if self.op in _UNCAST else self._cast_parameters(module)
        output = functional_call(module, parameters, tuple(args), kwargs) if parameters else module(*args, **kwargs)
        return cast(output, self.dtype)

    def _cast_parameters(self, module: nn.Module) -> dict[str, torch.Tensor]:
        dtype = self.dtype
        return {
            name: value.to(dtype)
            for name, value in module.named_parameters()
            if value.is_floating_point() and value.dtype != dtype
        }

    def _mask_of(
        self, module: nn.Module, args: list[Any], kwargs: dict[str, Any], masks: list[Any], explicit: Any
    ) -> Mask:
        """The mask of the first tensor of the output."""
        if self.rule == "keep":
            return first_mask(explicit if explicit is not None and self.op != "softmax" else masks)
        if self.rule == "make":
            return module.make_mask(*args)
        if self.rule == "use":
            return first_mask(kwargs.get("mask")) if getattr(module, "return_sequences", False) else None
        if self.rule == "query":
            return first_mask(kwargs.get("query_mask", kwargs.get("mask")))
        if self.rule == "merge":
            return merged(flat(explicit if explicit is not None else masks))
        if self.rule == "concat":
            return concatenated(flat(args[0]), flat(explicit if explicit is not None else masks), self.axis)
        return None


def cast(value: Any, dtype: torch.dtype) -> Any:
    """The floats of a structure in another dtype."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, list | tuple):
        return [cast(item, dtype) for item in value]
    return value


def merged(masks: list[Mask]) -> Mask:
    """The rule `merge`: true where one of the masks is; none if an input has none."""
    result: Mask = None
    for mask in masks:
        if mask is None:
            return None
        result = mask.bool() if result is None else result | mask.bool()
    return result


def concatenated(inputs: list[torch.Tensor], masks: list[Mask], axis: int) -> Mask:
    """The rule `concat`: masks put together as the inputs are, then true where any feature is."""
    if all(mask is None for mask in masks):
        return None
    whole = []
    for x, mask in zip(inputs, masks, strict=True):
        if mask is None:
            whole.append(torch.ones(x.shape, dtype=torch.bool, device=x.device))
        elif mask.dim() < x.dim():
            whole.append(mask.bool().unsqueeze(-1).broadcast_to(x.shape))
        else:
            whole.append(mask.bool())
    return torch.cat(whole, dim=axis).any(dim=-1)
