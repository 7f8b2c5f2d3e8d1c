"""Ops that go through the steps of a sequence (SPEC.md J.5).

The variables lie as in `nn.LSTMCell` and `nn.GRUCell`, the gates of a GRU in torch's order r, z, n. Where torch's own
loop does what the attributes say, it is used; else the steps are walked one by one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.layers.functions import activation, activation_name
from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs

States = list[torch.Tensor]

_RESET_FIRST = (1, 0, 2)


class Recurrent(nn.Module):
    """What all recurrent modules share: parameters, states, dropout and the walk through the steps."""

    gates = 1
    states = 1

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.input_size, self.hidden_size = spec.shape("kernel")[0], spec["units"]
        self.activation = activation(spec["activation"], spec.path)
        self.dropout, self.recurrent_dropout = spec["dropout"], spec["recurrent_dropout"]
        self.return_sequences, self.return_state = spec["return_sequences"], spec["return_state"]
        self.go_backwards, self.stateful = spec["go_backwards"], spec["stateful"]
        self.zero_output_for_mask = spec["zero_output_for_mask"]
        self.kept_states: States | None = None
        self.weight_ih: nn.Parameter
        self.weight_hh: nn.Parameter
        self.bias_ih: nn.Parameter | None
        self._shown = activation_name(spec["activation"])

    def forward(
        self,
        x: torch.Tensor,
        *initial: Any,
        initial_state: Any = None,
        mask: torch.Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        """Walk the sequence.

        Args:
            x: `[batch, time, features]`.
            initial: the first states, as further inputs or one list.
            initial_state: the first states, likewise; zeros, or those that are kept, if there are none.
            mask: `[batch, time]`: where it is false, states stay.
            training: overrides the module's mode, which decides on dropout.

        Returns:
            The last output, or all of them, in the order in which they were computed; with `return_state` the list of
            it and the last states.
        """
        x = floating(x, self.weight_ih)
        first = self._first_states(x, listed(initial) or listed(initial_state))
        trains = self.training if training is None else training
        x_drops, h_drops = self._drops(x, trains)
        fused = self.fused()
        if fused is not None and mask is None and h_drops is None and len(x_drops) <= 1:
            outputs, last = self._run_fused(fused, x * x_drops[0].unsqueeze(1) if x_drops else x, first)
        else:
            outputs, last = self._walk(self._inputs(x, x_drops), first, h_drops, mask)
        if self.stateful:
            self.kept_states = [state.detach() for state in last]
        output = outputs if self.return_sequences else outputs[:, -1]
        return [output, *last] if self.return_state else output

    def reset_states(self) -> None:
        """Forget the states that a stateful module keeps from one call to the next."""
        self.kept_states = None

    def fused(self) -> Callable[..., Any] | None:
        """Torch's own loop, if it computes what the module does."""
        return None

    @abstractmethod
    def step(self, a: torch.Tensor, states: States, drops: States | None) -> States:
        """The new states from a step's share of the input and the states before it.

        Args:
            a: `[batch, gates · units]`: the input times its weights, plus the bias.
            states: `[batch, units]` each.
            drops: the factors of dropout on h, one for each gate.
        """

    def biases(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The bias of the input and that of the state."""
        return self.bias_ih, None

    def inner(self, h: torch.Tensor, drops: States | None) -> torch.Tensor:
        """The state times its weights, for all gates side by side, plus its bias."""
        bias = self.biases()[1]
        if drops is None:
            return functional.linear(h, self.weight_hh, bias)
        parts = zip(drops, self.weight_hh.chunk(self.gates), strict=True)
        y = torch.cat([functional.linear(h * drop, part) for drop, part in parts], dim=-1)
        return y if bias is None else y + bias

    def _first_states(self, x: torch.Tensor, given: States) -> States:
        states = given or (self.kept_states if self.stateful else None)
        if not states:
            return [x.new_zeros(x.shape[0], self.hidden_size) for _ in range(self.states)]
        return [torch.as_tensor(state, dtype=x.dtype, device=x.device) for state in states]

    def _drops(self, x: torch.Tensor, trains: bool) -> tuple[States, States | None]:
        """Factors for the input (none, one for all gates, or one for each) and for h (one for each gate)."""

        def draw(rate: float, width: int, count: int) -> States:
            ones = x.new_ones(x.shape[0], width)
            return [functional.dropout(ones, rate) for _ in range(count)]

        own = self.recurrent_dropout > 0
        inputs = draw(self.dropout, self.input_size, self.gates if own else 1) if trains and self.dropout > 0 else []
        return inputs, draw(self.recurrent_dropout, self.hidden_size, self.gates) if trains and own else None

    def _inputs(self, x: torch.Tensor, drops: States) -> torch.Tensor:
        """The share of the input in all gates of all steps."""
        bias = self.biases()[0]
        if len(drops) <= 1:
            return functional.linear(x * drops[0].unsqueeze(1) if drops else x, self.weight_ih, bias)
        parts = zip(drops, self.weight_ih.chunk(self.gates), strict=True)
        y = torch.cat([functional.linear(x * drop.unsqueeze(1), part) for drop, part in parts], dim=-1)
        return y if bias is None else y + bias

    def _walk(
        self, a: torch.Tensor, states: States, drops: States | None, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, States]:
        outputs = []
        times = range(a.shape[1])
        for time in reversed(times) if self.go_backwards else times:
            new = self.step(a[:, time], states, drops)
            output = new[0]
            if mask is not None:
                kept = mask[:, time].bool().unsqueeze(-1)
                new = [torch.where(kept, after, before) for after, before in zip(new, states, strict=True)]
                output = output * kept if self.zero_output_for_mask else new[0]
            outputs.append(output)
            states = new
        return torch.stack(outputs, dim=1), states

    def _run_fused(self, run: Callable[..., Any], x: torch.Tensor, states: States) -> tuple[torch.Tensor, States]:
        x = x.flip(1) if self.go_backwards else x
        bias, inner_bias = self.biases()
        weights = [self.weight_ih, self.weight_hh]
        if bias is not None:
            weights += [bias, torch.zeros_like(bias) if inner_bias is None else inner_bias]
        layers = [state.unsqueeze(0) for state in states]
        first = layers if len(layers) > 1 else layers[0]
        # One layer, no dropout between layers, not training, one direction, the batch first.
        outputs, *last = run(x, first, weights, bias is not None, 1, 0.0, False, False, True)
        return outputs, [state.squeeze(0) for state in last]

    def extra_repr(self) -> str:
        """The sizes and the attributes that differ from torch's own."""
        return f"{self.input_size}, {self.hidden_size}, " + shown_attrs(
            bias=self.bias_ih is not None,
            activation=None if self._shown == "tanh" else self._shown or "linear",
            dropout=self.dropout or None,
            recurrent_dropout=self.recurrent_dropout or None,
            return_sequences=self.return_sequences or None,
            return_state=self.return_state or None,
            go_backwards=self.go_backwards or None,
            stateful=self.stateful or None,
        )


def listed(states: Any) -> States:
    """First states as a list: they come as further inputs, or as one list."""
    if states is None:
        return []
    found = list(states) if isinstance(states, list | tuple) else [states]
    if len(found) == 1 and isinstance(found[0], list | tuple):
        found = list(found[0])
    return [state for state in found if state is not None]


class SimpleRNN(Recurrent):
    """A recurrent layer without gates."""

    def step(self, a: torch.Tensor, states: States, drops: States | None) -> States:
        """`h' = activation(a + h · U)`."""
        return [self.activation(a + self.inner(states[0], drops))]

    def fused(self) -> Callable[..., Any] | None:
        """Torch's loops have tanh and relu."""
        return {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}.get(self._shown or "")


class LSTM(Recurrent):
    """Long short-term memory; the gates are i, f, c, o, as torch's i, f, g, o."""

    gates = 4
    states = 2

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.recurrent_activation = activation(spec["recurrent_activation"], spec.path)
        self.bias_hh: nn.Parameter | None
        self._plain = (spec["activation"], spec["recurrent_activation"]) == ("tanh", "sigmoid")

    def biases(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The second is there with the `bias_form` double."""
        return self.bias_ih, self.bias_hh

    def step(self, a: torch.Tensor, states: States, drops: States | None) -> States:
        """`c' = σ(f) · c + σ(i) · activation(g)` and `h' = σ(o) · activation(c')`."""
        h, c = states
        i, f, g, o = (a + self.inner(h, drops)).chunk(4, dim=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return [self.recurrent_activation(o) * self.activation(c), c]

    def fused(self) -> Callable[..., Any] | None:
        """Torch's loop has tanh and sigmoid."""
        return torch.lstm if self._plain else None


class GRU(Recurrent):
    """Gated recurrent units, with the reset gate after or before the product."""

    gates = 3

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.recurrent_activation = activation(spec["recurrent_activation"], spec.path)
        self.reset_after = spec["reset_after"]
        self.bias: nn.Parameter | None
        self._plain = (spec["activation"], spec["recurrent_activation"]) == ("tanh", "sigmoid")

    @property
    def bias_ih(self) -> torch.Tensor | None:  # type: ignore[override]
        """The bias of the input: the first row of `bias` with `reset_after`, else all of it."""
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def biases(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The rows of `bias` with `reset_after`."""
        return self.bias_ih, self.bias[1] if self.bias is not None and self.reset_after else None

    def step(self, a: torch.Tensor, states: States, drops: States | None) -> States:
        """`h' = z · h + (1 - z) · n`, with r before or after the product with h in n."""
        (h,) = states
        a_r, a_z, a_n = a.chunk(3, dim=-1)
        if self.reset_after:
            h_r, h_z, h_n = self.inner(h, drops).chunk(3, dim=-1)
            reset = self.recurrent_activation(a_r + h_r) * h_n
            z = self.recurrent_activation(a_z + h_z)
        else:
            u_r, u_z, u_n = self.weight_hh.chunk(3)
            d_r, d_z, d_n = drops if drops is not None else (1.0, 1.0, 1.0)
            z = self.recurrent_activation(a_z + functional.linear(h * d_z, u_z))
            r = self.recurrent_activation(a_r + functional.linear(h * d_r, u_r))
            reset = functional.linear(r * (h * d_n), u_n)
        return [z * h + (1 - z) * self.activation(a_n + reset)]

    def fused(self) -> Callable[..., Any] | None:
        """Torch's loop has tanh, sigmoid and the reset after the product."""
        return torch.gru if self._plain and self.reset_after else None


def _bind(spec: Spec, module: Recurrent, blocks: Sequence[int] | None = None) -> None:
    order = None if blocks is None else tuple(blocks)
    for attribute, role in (("weight_ih", "kernel"), ("weight_hh", "recurrent_kernel")):
        spec.bind(module, attribute, role, Layout(blocks=order, axes=(1, 0)))


@layer("simple_rnn")
def simple_rnn(spec: Spec) -> nn.Module:
    """The variables of `nn.RNNCell`, with one bias."""
    module = SimpleRNN(spec)
    _bind(spec, module)
    spec.bind(module, "bias_ih", "bias")
    return module


@layer("lstm")
def lstm(spec: Spec) -> nn.Module:
    """The variables of `nn.LSTMCell`; `bias_hh` only with the `bias_form` double."""
    module = LSTM(spec)
    _bind(spec, module)
    spec.bind(module, "bias_ih", "bias")
    spec.bind(module, "bias_hh", "recurrent_bias")
    return module


@layer("gru")
def gru(spec: Spec) -> nn.Module:
    """The variables of `nn.GRUCell`, gates r, z, n, but the biases are the two rows of one."""
    module = GRU(spec)
    _bind(spec, module, _RESET_FIRST)
    spec.bind(module, "bias", "bias", Layout(blocks=_RESET_FIRST))
    return module
