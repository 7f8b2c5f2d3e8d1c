"""Ops that call other modules (SPEC.md J.5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from etui.bridges.torch.layers.normalization import BatchNorm
from etui.bridges.torch.layers.recurrent import Recurrent, listed
from etui.bridges.torch.layers.registry import Spec, layer, shown_attrs
from etui.bridges.torch.steps import Losses, Step


class Bidirectional(nn.Module):
    """Two recurrent modules over the same sequence, one of them backwards."""

    def __init__(self, forward: tuple[nn.Module, Step], backward: tuple[nn.Module, Step], merge: str) -> None:
        super().__init__()
        self.merge = merge
        # `forward` is the name of the method that every module has.
        self.forward_layer, self._forward_step = forward
        self.backward_layer, self._backward_step = backward
        self.activity_losses = Losses()

    def forward(
        self,
        x: torch.Tensor,
        *initial: Any,
        initial_state: Any = None,
        mask: torch.Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        """Run both, turn the outputs of the second around if they are a sequence, and merge.

        Returns:
            The merged output, or the list of the outputs and the last states.
        """
        states = listed(initial) or listed(initial_state)
        half = len(states) // 2
        results = []
        sides = (
            (self.forward_layer, self._forward_step, states[:half]),
            (self.backward_layer, self._backward_step, states[half:]),
        )
        for module, step, own in sides:
            masks = [mask] + [None] * len(own)
            output, _ = step.run(module, [x, *own], {}, masks, training, self.activity_losses)
            results.append(list(output) if isinstance(output, list) else [output])
        (first, *first_states), (second, *second_states) = results
        if first.dim() == x.dim():
            second = second.flip(1)
        outputs = [*self._merged(first, second), *first_states, *second_states]
        return outputs[0] if len(outputs) == 1 else outputs

    def _merged(self, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
        if self.merge == "concat":
            return [torch.cat([first, second], dim=-1)]
        if self.merge == "none":
            return [first, second]
        return [first * second if self.merge == "mul" else (first + second) / (2 if self.merge == "mean" else 1)]

    @property
    def return_sequences(self) -> bool:
        """Whether the output is a sequence."""
        return bool(getattr(self.forward_layer, "return_sequences", False))

    def extra_repr(self) -> str:
        """How the outputs are merged."""
        return shown_attrs(merge=self.merge)


@layer("bidirectional")
def bidirectional(spec: Spec) -> nn.Module:
    """A class of its own with the children `forward_layer` and `backward_layer`."""
    return Bidirectional(spec.child("forward"), spec.child("backward"), spec["merge"])


class TimeDistributed(nn.Module):
    """A module applied to each step of a sequence by itself."""

    def __init__(self, layer: nn.Module, step: Step) -> None:
        super().__init__()
        self.layer, self._step = layer, step
        self._has_statistics = any(isinstance(module, BatchNorm) for module in layer.modules())
        self._has_states = any(isinstance(module, Recurrent) and module.stateful for module in layer.modules())

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, training: bool | None = None) -> torch.Tensor:
        """Apply the layer to each `[batch, …]`: to all as one batch, unless it learns from a batch or has states.

        Args:
            x: `[batch, time, …]`.
            mask: of the steps, and of further axes, which the layer gets.
            training: overrides the module's mode.
        """
        inner = mask if mask is not None and mask.dim() > 2 else None
        if not self._has_states and not (self._has_statistics and (self.training if training is None else training)):
            rows = None if inner is None else inner.flatten(0, 1)
            y: torch.Tensor = self._step.run(self.layer, [x.flatten(0, 1)], {}, [rows], training, None)[0]
            return y.unflatten(0, x.shape[:2])
        outputs = []
        for time in range(x.shape[1]):
            own = None if inner is None else inner[:, time]
            outputs.append(self._step.run(self.layer, [x[:, time]], {}, [own], training, None)[0])
        return torch.stack(outputs, dim=1)


@layer("time_distributed")
def time_distributed(spec: Spec) -> nn.Module:
    """A class of its own with the child `layer`."""
    return TimeDistributed(*spec.child("layer"))
