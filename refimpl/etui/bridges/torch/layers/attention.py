"""Attention: values averaged with weights that compare queries with keys (SPEC.md J.6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs
from etui.bridges.torch.steps import Losses

Kept: TypeAlias = torch.Tensor | None
Penalty = Callable[[torch.Tensor], torch.Tensor]


def causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    """[queries, keys]: a query keeps the keys at its own place and before."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()


def kept_pairs(query_mask: Kept, key_masks: Sequence[Kept], attention_mask: Kept, causal_pairs: Kept) -> Kept:
    """The pairs of query and key that every mask keeps, or `None` where there is no mask.

    Args:
        query_mask: [batch, queries].
        key_masks: [batch, keys] each.
        attention_mask: [batch, queries, keys], or with the heads as a second axis.
        causal_pairs: [queries, keys].
    """
    found = [None if query_mask is None else query_mask.bool().unsqueeze(-1)]
    found += [None if mask is None else mask.bool().unsqueeze(-2) for mask in key_masks]
    found.append(None if causal_pairs is None else causal_pairs.unsqueeze(0))
    kept: Kept = None
    for mask in found:
        kept = mask if kept is None else kept if mask is None else kept & mask
    if attention_mask is None or kept is None:
        return kept if attention_mask is None else attention_mask.bool()
    return attention_mask.bool() & _widened(kept, attention_mask.dim(), 1)


def _widened(kept: torch.Tensor, rank: int, count: int) -> torch.Tensor:
    """With axes of size 1 before those of queries and keys, up to a rank."""
    lead = kept.dim() - 2 * count
    return kept.reshape(*kept.shape[:lead], *(1,) * (rank - kept.dim()), *kept.shape[lead:])


def softmax_of_kept(scores: torch.Tensor, kept: Kept) -> torch.Tensor:
    """The softmax along the last axis over what is kept; zeros where nothing is."""
    if kept is None:
        return functional.softmax(scores, -1)
    weights = functional.softmax(scores.masked_fill(~kept, torch.finfo(scores.dtype).min), -1)
    return weights.masked_fill(~kept, 0.0)


class Heads(nn.Module):
    """What attention with heads shares: the projections, as linear layers of all heads side by side."""

    def __init__(self, sizes: dict[str, tuple[int, int]], *, bias: bool, activity: Penalty | None) -> None:
        super().__init__()
        for name, (inputs, outputs) in sizes.items():
            self.add_module(name, nn.Linear(inputs, outputs, bias=bias, device="meta"))
        self.activity = activity
        self.activity_losses = Losses()

    def project(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A projection; the regularizer of activity is of each projection, not of the whole."""
        y: torch.Tensor = self.get_submodule(name)(floating(x))
        if self.activity is not None:
            self.activity_losses.append(self.activity(y) / y.shape[0])
        return y


def attended(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, kept: Kept, *, dim: int, rate: float, shows: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The weighted sum of values, heads and other axes first.

    Args:
        q: [..., queries, features].
        k: [..., keys, features].
        v: [..., keys, features].
        kept: broadcasts to [..., queries, keys].
        dim: the scores are q·k / √dim.
        rate: of the dropout of the weights.
        shows: whether the weights are wanted, too.

    Returns:
        The sum, and the weights before their dropout; `None` where they are neither wanted nor needed.
    """
    if kept is None and not shows:
        return functional.scaled_dot_product_attention(q, k, v, dropout_p=rate, scale=dim**-0.5), None
    weights = softmax_of_kept((q @ k.transpose(-1, -2)) / math.sqrt(dim), kept)
    return functional.dropout(weights, rate) @ v, weights


class MultiHeadAttention(Heads):
    """Multi-head attention over any axes between the batch and the features."""

    def __init__(self, spec: Spec, sizes: dict[str, tuple[int, int]], output_shape: tuple[int, ...]) -> None:
        super().__init__(sizes, bias=spec["use_bias"], activity=spec.home.penalty(spec))
        self.num_heads, self.key_dim = spec["num_heads"], spec["key_dim"]
        self.attention_axes = None if spec["attention_axes"] is None else tuple(spec["attention_axes"])
        self.output_shape = output_shape
        self.dropout = spec["dropout"]

    def forward(
        self,
        query: torch.Tensor,
        value: torch.Tensor,
        key: torch.Tensor | None = None,
        *,
        query_mask: Kept = None,
        value_mask: Kept = None,
        key_mask: Kept = None,
        attention_mask: Kept = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Attend.

        Returns:
            The output, or the list of it and the weights if `return_attention_scores`.
        """
        pairs = causal(query.shape[1], value.shape[1], query.device) if use_causal_mask else None
        kept = kept_pairs(query_mask, [value_mask, None if key is None else key_mask], attention_mask, pairs)
        rank = query.dim()
        axes = range(1, rank - 1) if self.attention_axes is None else [axis % rank for axis in self.attention_axes]
        others = [axis for axis in range(rank - 1) if axis not in axes]
        order = [*others, rank - 1, *axes, rank]
        q = self._heads("query", query, order)
        k, v = self._heads("key", value if key is None else key, order), self._heads("value", value, order)
        first = rank - len(axes)
        lead, queries, keys = q.shape[:first], q.shape[first:-1], k.shape[first:-1]
        q, k, v = (x.reshape(*lead, -1, x.shape[-1]) for x in (q, k, v))
        rate = self.dropout if (self.training if training is None else training) else 0.0
        if kept is not None:
            wide = _widened(kept, len(lead) + 2 * len(axes), len(axes))
            kept = wide.broadcast_to(*lead, *queries, *keys).reshape(*lead, q.shape[-2], k.shape[-2])
        mixed, weights = attended(q, k, v, kept, dim=self.key_dim, rate=rate, shows=return_attention_scores)
        mixed = mixed.reshape(*lead, *queries, v.shape[-1])
        back = [order.index(axis) for axis in range(rank + 1)]
        output = self.project("output", mixed.permute(back).flatten(-2))
        output = output.unflatten(-1, self.output_shape) if len(self.output_shape) > 1 else output
        if not return_attention_scores or weights is None:
            return output
        return [output, weights.reshape(*lead, *queries, *keys)]

    def _heads(self, name: str, x: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        return self.project(name, x).unflatten(-1, (self.num_heads, -1)).permute(*order)

    def extra_repr(self) -> str:
        """The sizes."""
        return shown_attrs(
            num_heads=self.num_heads,
            key_dim=self.key_dim,
            attention_axes=self.attention_axes,
            dropout=self.dropout or None,
        )


def _bind_projection(spec: Spec, module: Heads, name: str) -> None:
    """`[in, heads, dim]` as the rows of a linear layer."""
    inputs, heads, dim = spec.shape(f"{name}_kernel")
    linear = module.get_submodule(name)
    spec.bind(linear, "weight", f"{name}_kernel", Layout(axes=(1, 2, 0), shape=(heads * dim, inputs)))
    spec.bind(linear, "bias", f"{name}_bias", Layout(shape=(heads * dim,)))


def _bind_output(spec: Spec, module: Heads) -> tuple[int, ...]:
    """`[heads, dim, *out]` as the columns of a linear layer."""
    heads, dim, *out = spec.shape("output_kernel")
    width = math.prod(out)
    linear = module.get_submodule("output")
    axes = (*range(2, 2 + len(out)), 0, 1)
    spec.bind(linear, "weight", "output_kernel", Layout(axes=axes, shape=(width, heads * dim)))
    spec.bind(linear, "bias", "output_bias", Layout(shape=(width,)))
    return tuple(out)


def _sizes(spec: Spec, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    sizes = {}
    for name in names:
        inputs, heads, dim = spec.shape(f"{name}_kernel")
        sizes[name] = (inputs, heads * dim)
    heads, dim, *out = spec.shape("output_kernel")
    return {**sizes, "output": (heads * dim, math.prod(out))}


@layer("mha")
def mha(spec: Spec) -> nn.Module:
    """Four linear layers: one variable each, which `nn.MultiheadAttention` would pack into one."""
    names = ("query", "key", "value")
    module = MultiHeadAttention(spec, _sizes(spec, names), tuple(spec.shape("output_kernel")[2:]))
    for name in names:
        _bind_projection(spec, module, name)
    _bind_output(spec, module)
    return module


class GroupedQueryAttention(Heads):
    """Attention where successive heads of the query share a head of key and value."""

    def __init__(self, spec: Spec, sizes: dict[str, tuple[int, int]]) -> None:
        super().__init__(sizes, bias=spec["use_bias"], activity=spec.home.penalty(spec))
        self.num_query_heads, self.num_key_value_heads = spec["num_query_heads"], spec["num_key_value_heads"]
        self.head_dim = spec["head_dim"]
        self.dropout = spec["dropout"]
        self.use_gate = "gate" in sizes

    def forward(
        self,
        query: torch.Tensor,
        value: torch.Tensor,
        key: torch.Tensor | None = None,
        *,
        query_mask: Kept = None,
        value_mask: Kept = None,
        key_mask: Kept = None,
        attention_mask: Kept = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Attend over [batch, time, features].

        Returns:
            The output, or the list of it and the weights if `return_attention_scores`.
        """
        pairs = causal(query.shape[1], value.shape[1], query.device) if use_causal_mask else None
        kept = kept_pairs(query_mask, [value_mask, None if key is None else key_mask], attention_mask, pairs)
        shared = self.num_query_heads // self.num_key_value_heads
        q = self._heads("query", query, self.num_query_heads)
        k = self._heads("key", value if key is None else key, self.num_key_value_heads).repeat_interleave(shared, dim=1)
        v = self._heads("value", value, self.num_key_value_heads).repeat_interleave(shared, dim=1)
        rate = self.dropout if (self.training if training is None else training) else 0.0
        wide = None if kept is None else _widened(kept, q.dim(), 1)
        mixed, weights = attended(q, k, v, wide, dim=self.head_dim, rate=rate, shows=return_attention_scores)
        mixed = mixed.transpose(1, 2).flatten(-2)
        if self.use_gate:
            mixed = mixed * torch.sigmoid(self.project("gate", query))
        output = self.project("output", mixed)
        return [output, weights] if return_attention_scores else output

    def _heads(self, name: str, x: torch.Tensor, heads: int) -> torch.Tensor:
        return self.project(name, x).unflatten(-1, (heads, -1)).transpose(1, 2)

    def extra_repr(self) -> str:
        """The sizes."""
        return shown_attrs(
            num_query_heads=self.num_query_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            use_gate=self.use_gate or None,
            dropout=self.dropout or None,
        )


@layer("gqa")
def gqa(spec: Spec) -> nn.Module:
    """Four or five linear layers."""
    names = ("query", "key", "value", *(("gate",) if spec["use_gate"] else ()))
    module = GroupedQueryAttention(spec, _sizes(spec, names))
    for name in names:
        _bind_projection(spec, module, name)
    _bind_output(spec, module)
    return module


class Attention(nn.Module):
    """Attention without projections: scores by products, or by sums through tanh."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.additive = spec.op.name == "additive_attention" or spec["score_mode"] == "concat"
        self.dropout = spec["dropout"]
        self.scale: nn.Parameter | None
        self.concat_score_weight: nn.Parameter | None

    def forward(
        self,
        query: torch.Tensor,
        value: torch.Tensor,
        key: torch.Tensor | None = None,
        *,
        mask: Sequence[Kept] | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Attend over [batch, time, features].

        Args:
            query: asks.
            value: what is averaged.
            key: what the query is compared with; the value, if there is none.
            mask: of query and value, and of the key, which does nothing.
            use_causal_mask: exclude later keys.
            return_attention_scores: give the list of output and weights.
            training: overrides the module's mode.
        """
        query_mask, value_mask = [*(mask or ()), None, None][:2]
        scores = self._scores(floating(query), floating(value if key is None else key))
        pairs = causal(scores.shape[-2], scores.shape[-1], scores.device) if use_causal_mask else None
        weights = softmax_of_kept(scores, kept_pairs(None, [value_mask], None, pairs))
        if self.training if training is None else training:
            weights = functional.dropout(weights, self.dropout)
        output = weights @ floating(value)
        if query_mask is not None:
            output = output * query_mask.bool().unsqueeze(-1)
        return [output, weights] if return_attention_scores else output

    def _scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        if not self.additive:
            scores = query @ key.transpose(-1, -2)
            return scores if self.scale is None else scores * self.scale
        sums = query.unsqueeze(-2) + key.unsqueeze(-3)
        if self.concat_score_weight is not None:
            return self.concat_score_weight * torch.tanh(sums if self.scale is None else self.scale * sums).sum(-1)
        sums = torch.tanh(sums)
        return (sums if self.scale is None else self.scale * sums).sum(-1)

    def extra_repr(self) -> str:
        """How scores are made."""
        mode = "concat" if self.concat_score_weight is not None else "add" if self.additive else "dot"
        return shown_attrs(score=mode, scale=self.scale is not None, dropout=self.dropout or None)


@layer("dot_attention", "additive_attention")
def attention(spec: Spec) -> nn.Module:
    """A class of its own; its variables stay as they are."""
    module = Attention(spec)
    spec.bind(module, "scale", "scale")
    spec.bind(module, "concat_score_weight", "concat_score_weight")
    return module
