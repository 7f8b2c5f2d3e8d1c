"""What of the core vocabulary a program of ONNX can say: the table of the documentation comes from here."""

from __future__ import annotations

from collections.abc import Mapping

from etui.bridges.onnx.ops.registry import activations, definitions
from etui.core import vocabulary

__all__ = ["limits_of_ops", "table"]

# What `emit` and `inputs` do themselves.
_WALKED = {
    "graph": "",
    "sequential": "",
    "input": "optional inputs, complex numbers, and inputs without a known number of axes",
    "parameter": "",
}
_NONE = "not at all"


def limits_of_ops() -> Mapping[str, str]:
    """Every op of the vocabulary, and what of it cannot be said: an empty text for nothing."""
    known = definitions()
    return {op: _WALKED[op] if op in _WALKED else known[op].limits if op in known else _NONE for op in vocabulary.ops()}


def table() -> str:
    """The table of the documentation, in Markdown: ops with limits one a line, the others together."""
    limits = limits_of_ops()
    whole = [f"`{op}`" for op, limit in limits.items() if not limit]
    lines = ["| ops | what is refused, or differs |", "|---|---|"]
    by_limit: dict[str, list[str]] = {}
    for op, limit in limits.items():
        if limit:
            by_limit.setdefault(limit, []).append(f"`{op}`")
    lines += [f"| {', '.join(ops)} | {limit} |" for limit, ops in by_limit.items()]
    lines.append(f"| {', '.join(whole)} | nothing |")
    missing = sorted(set(vocabulary.objects("activations")) - set(activations()))
    if missing:
        lines.append(f"| activations {', '.join(f'`{name}`' for name in missing)} | {_NONE} |")
    return "\n".join(lines)
