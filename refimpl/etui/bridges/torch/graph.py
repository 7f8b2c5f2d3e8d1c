"""The module of a graph of calls: the root of what `to_module` makes, and every nested model (SPEC.md chapter 13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.rules import Constraint, Regularizer
from etui.bridges.torch.steps import Losses, Mask, Step, flat
from etui.errors import error

_RULES = "_etui_rules"


@dataclass(frozen=True, slots=True)
class Slot:
    """In the arguments of a call: a tensor that an earlier call made, or a constant of the graph.

    Attributes:
        call, index: the call, and the number of its output; an empty call stands for a constant.
    """

    call: str
    index: int | str


@dataclass(slots=True)
class Made:
    """One call of the graph, ready to be made.

    Attributes:
        id: of the call.
        name: of the called module among the children; empty for an input of the graph.
        step: how the module is called.
        args, kwargs: with a `Slot` for each tensor.
    """

    id: str
    name: str
    step: Step | None
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An input of the graph.

    Attributes:
        name: of its module in the config.
        call: that stands for it.
        integer: the dtype of the whole numbers or truth values that the model takes there; `None` for floats.
        floats: whether the model takes floats.
    """

    name: str
    call: str
    integer: torch.dtype | None
    floats: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A regularizer and a constraint of one parameter of a module.

    Attributes:
        attribute: of the module.
        layout, core_shape: with which the etui has its elements, along whose axes the rules are meant.
        regularizer, constraint: or `None`.
    """

    attribute: str
    layout: Layout
    core_shape: tuple[int, ...]
    regularizer: Regularizer | None
    constraint: Constraint | None


def add_rule(module: nn.Module, rule: Rule) -> None:
    """Let a module know a rule for one of its parameters."""
    module.__dict__.setdefault(_RULES, []).append(rule)


def rules_of(module: nn.Module) -> Iterator[tuple[nn.Module, Rule, nn.Parameter]]:
    """The rules of each parameter in a module that requires gradients, each parameter once."""
    seen: set[int] = set()
    for part in module.modules():
        for rule in part.__dict__.get(_RULES, ()):
            parameter = getattr(part, rule.attribute)
            if isinstance(parameter, nn.Parameter) and parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield part, rule, parameter


class Graph(nn.Module):
    """A model: its modules as children, by their own names, and the calls between inputs and outputs.

    It is called with its inputs as the model nests them: one tensor, several, a list, or a map by their names.

    Attributes:
        calls: in the order in which they are made.
        entries: the inputs.
        keys: of the map in which the model takes its inputs; empty if it takes none.
        outputs: with a `Slot` for each tensor.
        activity_losses: the penalties of activity of the last call.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._title = name
        self.calls: list[Made] = []
        self.entries: list[Entry] = []
        self.keys: set[str] = set()
        self.outputs: Any = None
        self.activity_losses = Losses()

    def forward(
        self, *inputs: Any, training: bool | None = None, mask: Sequence[Mask] | None = None, with_masks: bool = False
    ) -> Any:
        """Make all calls.

        Args:
            inputs: tensors, or structures of tensors.
            training: overrides the modules' mode: whether they learn and draw.
            mask: of each input.
            with_masks: give the pair of the outputs and the list of their masks.

        Raises:
            UsageError: ``torch-call``, other inputs than those of the model.
        """
        if not with_masks:
            self._forget_losses()
        tensors = self._entered(inputs)
        given = list(mask) if mask is not None else [None] * len(tensors)
        values: dict[tuple[str, int | str], tuple[Any, Mask]] = {}
        for entry, tensor, own in zip(self.entries, tensors, given, strict=True):
            values[entry.call, 0] = (tensor, own)
        for call in self.calls:
            if call.step is None:
                continue
            args, kwargs = self._filled(call.args, values, 0), self._filled(call.kwargs, values, 0)
            masks = self._filled(call.args, values, 1)
            module = self.get_submodule(call.name)
            output, output_masks = call.step.run(module, args, kwargs, masks, training, self.activity_losses)
            for index, pair in enumerate(zip(flat(output), output_masks, strict=True)):
                values[call.id, index] = pair
        outputs = self._filled(self.outputs, values, 0)
        return (outputs, flat(self._filled(self.outputs, values, 1))) if with_masks else outputs

    def regularization_loss(self) -> torch.Tensor:
        """The sum of all penalties, as Keras adds it to the loss.

        That is the regularizer of each parameter that requires gradients, and, from the last call of the module, the
        regularizers of activity, each divided by the size of the batch.
        """
        total: torch.Tensor | None = None
        for _, rule, parameter in rules_of(self):
            if rule.regularizer is not None:
                loss = rule.regularizer(rule.layout.backward(parameter, core_shape=rule.core_shape))
                total = loss if total is None else total + loss
        for part in self.modules():
            for loss in getattr(part, "activity_losses", ()):
                total = loss if total is None else total + loss
        return torch.zeros(()) if total is None else total

    def apply_constraints(self) -> None:
        """Change each parameter that has a constraint to what it allows; to be called after the optimizer's step."""
        with torch.no_grad():
            for _, rule, parameter in rules_of(self):
                if rule.constraint is not None:
                    projected = rule.constraint(rule.layout.backward(parameter, core_shape=rule.core_shape))
                    parameter.copy_(rule.layout.forward(projected, core_shape=rule.core_shape))

    def _forget_losses(self) -> None:
        for part in self.modules():
            losses = getattr(part, "activity_losses", None)
            if losses:
                losses.clear()

    def _entered(self, inputs: tuple[Any, ...]) -> list[Any]:
        """One tensor for each input of the graph, whole numbers as floats where the model takes floats."""
        names = [entry.name for entry in self.entries]
        if len(inputs) == 1 and isinstance(inputs[0], dict) and inputs[0].keys() != self.keys:
            if not set(names) <= inputs[0].keys():
                raise error("torch-call", where=self._title, found=f"the names {sorted(inputs[0])}, not {names}")
            inputs = tuple(inputs[0][name] for name in names)
        tensors = flat(inputs)
        if len(tensors) != len(names):
            raise error("torch-call", where=self._title, found=f"{len(tensors)} tensors for the inputs {names}")
        return [self._converted(entry, tensor) for entry, tensor in zip(self.entries, tensors, strict=True)]

    def _converted(self, entry: Entry, tensor: Any) -> Any:
        if not isinstance(tensor, torch.Tensor) or tensor.is_complex():
            return tensor
        if entry.floats and not tensor.is_floating_point():
            return tensor.to(self._float_dtype())
        if entry.integer is not None and tensor.is_floating_point():
            return tensor.to(entry.integer)
        return tensor

    def _float_dtype(self) -> torch.dtype:
        for tensor in self.parameters():
            if tensor.is_floating_point():
                return tensor.dtype
        return torch.get_default_dtype()

    def _filled(self, value: Any, values: dict[tuple[str, int | str], tuple[Any, Mask]], part: int) -> Any:
        """A structure with each slot's tensor (part 0) or mask (part 1); other leaves have no mask."""
        if isinstance(value, Slot):
            if value.call:
                return values[value.call, value.index][part]
            return getattr(self, str(value.index)) if part == 0 else None
        if isinstance(value, list):
            return [self._filled(item, values, part) for item in value]
        if isinstance(value, tuple):
            return tuple(self._filled(item, values, part) for item in value)
        if isinstance(value, dict):
            return {key: self._filled(item, values, part) for key, item in value.items()}
        return value if part == 0 else None

    def _get_name(self) -> str:
        return f"Graph[{self._title}]"

    def extra_repr(self) -> str:
        """The inputs' names."""
        return f"inputs={[entry.name for entry in self.entries]}"
