"""Recurrent layers of torch, layer by layer, in the terms of the vocabulary (SPEC.md, annex M.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.trace.builder import Joined, Leaf
from etui.canonical.values import OutputRef
from etui.containers.config import Module

Context = Any
Params = dict[str, Leaf | Joined]
Describe = Callable[[Context, Any, str], tuple[dict[str, Any], Params]]
# torch's gates are r, z, n; the vocabulary's z, r, h.
_GRU_BLOCKS = (1, 0, 2)


def _leaf(context: Context, module: Any, name: str, layout: Layout) -> Leaf:
    return Leaf(f"{context.node.target}.{name}", getattr(module, name), layout)


def _kernels(context: Context, module: Any, suffix: str, blocks: tuple[int, ...] | None = None) -> Params:
    layout = Layout(blocks=blocks, axes=(1, 0))
    return {
        "kernel": _leaf(context, module, f"weight_ih_{suffix}", layout),
        "recurrent_kernel": _leaf(context, module, f"weight_hh_{suffix}", layout),
    }


def _biases(context: Context, module: Any, suffix: str, layout: Layout) -> tuple[Leaf, Leaf]:
    return (
        _leaf(context, module, f"bias_ih_{suffix}", layout),
        _leaf(context, module, f"bias_hh_{suffix}", layout),
    )


def _lstm(context: Context, module: Any, suffix: str) -> tuple[dict[str, Any], Params]:
    params = _kernels(context, module, suffix)
    if module.bias:
        params["bias"], params["recurrent_bias"] = _biases(context, module, suffix, Layout())
    return {"bias_form": "double" if module.bias else "single"}, params


def _gru(context: Context, module: Any, suffix: str) -> tuple[dict[str, Any], Params]:
    params = _kernels(context, module, suffix, _GRU_BLOCKS)
    if module.bias:
        params["bias"] = Joined(_biases(context, module, suffix, Layout(blocks=_GRU_BLOCKS)), "stack")
    return {}, params


def _simple(context: Context, module: Any, suffix: str) -> tuple[dict[str, Any], Params]:
    params = _kernels(context, module, suffix)
    if module.bias:
        params["bias"] = Joined(_biases(context, module, suffix, Layout()), "sum")
    return {"activation": module.nonlinearity}, params


def lstm(context: Context, module: Any, x: Any, state: Any = None) -> Any:
    """An LSTM: the outputs, and the last hidden and cell states of every layer and direction."""
    if module.proj_size:
        raise context.refuse(f"an LSTM with proj_size={module.proj_size}")
    return _stack(context, module, x, state, ("lstm", _lstm))


def gru(context: Context, module: Any, x: Any, state: Any = None) -> Any:
    """A GRU: the outputs, and the last hidden states; torch's is the one with the reset after the product."""
    return _stack(context, module, x, state, ("gru", _gru))


def simple(context: Context, module: Any, x: Any, state: Any = None) -> Any:
    """A plain recurrent network: the outputs, and the last hidden states."""
    return _stack(context, module, x, state, ("simple_rnn", _simple))


def _stack(context: Context, module: Any, x: Any, state: Any, kind: tuple[str, Describe]) -> Any:
    if state is not None:
        raise context.refuse("an initial state")
    if context.rank(context.node.args[0]) != 3:
        raise context.refuse("an input without a batch")
    builder, name = context.builder, context.name
    if not module.batch_first:
        x = builder.call(f"{name}.batch_first", "permute", x, attrs={"axes": [1, 0, 2]})
    lasts: list[list[OutputRef]] = []
    for layer in range(module.num_layers):
        if layer and module.dropout:
            x = builder.call(f"{name}.dropout{layer - 1}", "dropout", x, attrs={"rate": float(module.dropout)})
        label = f"{name}.{layer}" if module.num_layers > 1 else name
        make = _both if module.bidirectional else _one
        x, states = make(context, module, x, Layer(label, layer, *kind))
        lasts += states
    if not module.batch_first:
        x = builder.call(f"{name}.time_first", "permute", x, attrs={"axes": [1, 0, 2]})
    return Result(context, name, x, lasts)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a stack: its name, its number, and what it is."""

    name: str
    number: int
    op: str
    describe: Describe


@dataclass(frozen=True, slots=True)
class Result(Sequence[Any]):
    """The pair that a recurrent layer of torch returns; the states are put together only where they are asked for."""

    context: Context
    name: str
    outputs: Any
    lasts: list[list[OutputRef]]

    def states(self) -> Any:
        """The last states, of shape [layers x directions, batch, units] each: one tensor, or a pair for an LSTM."""
        builder = self.context.builder
        found = [
            builder.call(f"{self.name}.state{at}", "stack", list(group))
            for at, group in enumerate(zip(*self.lasts, strict=True))
        ]
        return found[0] if len(found) == 1 else tuple(found)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return self.outputs if range(2)[index] == 0 else self.states()


def _attrs(module: Any, more: dict[str, Any], *, backwards: bool = False) -> dict[str, Any]:
    return {
        "units": module.hidden_size,
        "use_bias": module.bias,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": backwards,
        **more,
    }


def _one(context: Context, module: Any, x: Any, layer: Layer) -> tuple[OutputRef, list[list[OutputRef]]]:
    """One layer of one direction, and its last states."""
    op = layer.op
    more, params = layer.describe(context, module, f"l{layer.number}")
    out = context.builder.call(layer.name, op, x, attrs=_attrs(module, more), params=params)
    return out, [[replace(out, index=at) for at in range(1, 3 if op == "lstm" else 2)]]


def _both(context: Context, module: Any, x: Any, layer: Layer) -> tuple[OutputRef, list[list[OutputRef]]]:
    """One layer of both directions, and the last states of either."""
    op = layer.op
    children = []
    builder = context.builder
    for name, suffix in (("forward", f"l{layer.number}"), ("backward", f"l{layer.number}_reverse")):
        more, params = layer.describe(context, module, suffix)
        attrs = _attrs(module, more, backwards=name == "backward")
        children.append((name, attrs, params))
    out = builder.call(layer.name, "bidirectional", x)
    holder: Module = builder.modules[out.call.partition(":")[0]]
    for name, attrs, params in children:
        if all(child.name != name for child in holder.modules):
            holder.modules.append(builder.module(name, op, attrs, params, f"{holder.name}/{name}"))
    count = 2 if op == "lstm" else 1
    return out, [[replace(out, index=1 + at + side * count) for at in range(count)] for side in range(2)]
