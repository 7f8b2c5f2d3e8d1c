"""What kind of thing an op is, and the few attributes that tell one from another at a glance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from etui.viewing.shape_rules import plain_name

# The first pattern that meets the op's plain name decides.
_ROWS: dict[str, tuple[str, ...]] = {
    "io": ("input(layer)?$", "parameter$"),
    "model": ("(functional|sequential|graph|model|container)$",),
    "recurrent": (".*(lstm|gru|rnn)", "bidirectional", "timedistributed", ".*cell$"),
    "attention": (".*(attention|transformer)", "(mha|gqa)$"),
    "normalization": (".*norm",),
    "embedding": (".*embedding",),
    "preprocessing": (
        ".*(lookup|vectorization|hash|categoryencoding|spectrogram)",
        "rescal|center|resizing$|discretiz|onehot|random(?!normal)",
    ),
    "convolution": (".*conv",),
    "random": (".*(dropout|noise|dropconnect)", "activityreg"),
    "linear": (".*(dense|einsum)", ".*linear$", "matmul$"),
    "activation": (
        ".*(relu|softmax|sigmoid|tanh|swish|silu|gelu|mish|softplus|softsign|threshold)",
        "(elu|selu|activation|unary|clip)$",
    ),
    "shape": (
        ".*(pool|flatten|reshape|permute|transpose|repeat|pad|crop|upsampl|resize|slice|squeeze|expanddims|stack)",
        "(split|cast|identity|take)$|mask|broadcastto|getitem",
    ),
    "merge": (
        "(add|sub|subtract|mul|multiply|mean|average|max|maximum|min|minimum|concat|concatenate|dot|divide|power)",
        "(sqrt|square|exp|log|abs|sum|negative|where|binary|reduce|argreduce)",
    ),
}
_PATTERNS = tuple((re.compile("|".join(patterns)), family) for family, patterns in _ROWS.items())
FAMILIES = (*_ROWS, "other")
"""Every family, in the order in which they are looked for."""

_LONGEST = 34


def family_of(op: str) -> str:
    """The family of an op, for example ``convolution`` for ``keras:Conv2D``."""
    namespace, _, name = op.partition(":")
    if namespace == "custom":
        return "other"
    short = plain_name(name)
    return next((family for pattern, family in _PATTERNS if pattern.match(short)), "other")


def short_op(op: str) -> str:
    """An op's name without namespace and package: ``Conv2D``, ``add``."""
    return re.split(r"[:>.]", op)[-1] or op


def summary(op: str, attrs: Mapping[str, Any]) -> str:
    """What a person asks first about a module, in a few words: ``32 · 3×3 / 2 · relu``."""
    parts = [str(attrs[name]) for name in ("units", "filters") if type(attrs.get(name)) is int]
    if type(attrs.get("input_dim")) is int and type(attrs.get("output_dim")) is int:
        parts.append(f"{attrs['input_dim']} → {attrs['output_dim']}")
    heads = attrs.get("num_heads", attrs.get("num_query_heads"))
    if type(heads) is int:
        parts.append(f"{heads} heads")
    window = _factors(attrs.get("kernel_size")) or _factors(attrs.get("pool_size"))
    if window:
        strides = _factors(attrs.get("strides"), one=True)
        pooled = _factors(attrs.get("pool_size"), one=True)
        parts.append(f"{window} / {strides}" if strides not in ("", "1", pooled) else window)
    rate = attrs.get("rate")
    if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1:
        parts.append(f"{100 * rate:.3g} %")
    target = attrs.get("target_shape", attrs.get("shape") if plain_name(op) == "reshape" else None)
    if isinstance(target, list | tuple) and all(type(size) is int for size in target):
        parts.append("×".join("?" if size == -1 else str(size) for size in target))
    for name in ("activation", "function"):
        if isinstance(attrs.get(name), str) and attrs[name] != "linear":
            parts.append(attrs[name])
    text = " · ".join(parts)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _factors(value: Any, *, one: bool = False) -> str:
    """``3×3``; with `one`, a single number where all are equal."""
    sizes = [value] if type(value) is int else list(value) if isinstance(value, list | tuple) else []
    if not all(type(size) is int for size in sizes):
        return ""
    if one and len(set(sizes)) == 1:
        sizes = sizes[:1]
    return "×".join(map(str, sizes))
