"""What no evaluator computes: windows that are larger than an axis (SPEC.md J.8, CV-45).

No code is asked for: any answer but `ok` is right. Each case has a sibling on an axis that has room, which is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from semantics_cases import Net, Numbers
from semantics_store import Json, packed, tensor

_PLAIN = {"filters": 1, "use_bias": False}
_OPS: tuple[tuple[str, int, dict[str, Any], dict[str, tuple[int, ...]]], ...] = (
    ("max_pool", 3, {"pool_size": [3]}, {}),
    ("avg_pool", 2, {"pool_size": [2], "strides": [1], "padding": [[0, 0]]}, {}),
    ("conv", 3, {"kernel_size": [2], "dilation": [2], **_PLAIN}, {"kernel": (2, 1, 1)}),
    ("depthwise_conv", 3, {"kernel_size": [3], "use_bias": False}, {"kernel": (3, 1, 1)}),
    (
        "separable_conv",
        3,
        {"kernel_size": [3], **_PLAIN},
        {"depthwise_kernel": (3, 1, 1), "pointwise_kernel": (1, 1, 1)},
    ),
)
"""Op, how far a window reaches, attributes, shapes of the variables."""


def files() -> Iterator[tuple[str, dict[str, Json], list[Json]]]:
    """The file by its name, with the siblings and the cases."""
    siblings = {op: {"op": "evaluate", "request": _request(op, extent, *rest)} for op, extent, *rest in _OPS}
    cases = [
        {
            "name": op,
            "title": "A window that is larger than its axis",
            "clauses": ["CV-45"],
            "op": "evaluate",
            "sibling": op,
            "request": _request(op, extent - 1, *rest),
            "expected": {"not": "ok"},
        }
        for op, extent, *rest in _OPS
    ]
    yield "invalid/windows", siblings, cases


def _request(op: str, size: int, attrs: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Json:
    n = Numbers(f"invalid/windows/{op}")
    net = Net()
    x = net.give("x", n(1, 3, 1)[:, :size])
    net.outputs = [net.op(op, x, name="op", params={role: n(*shape) for role, shape in shapes.items()}, **attrs)]
    return {"artifact": packed(net.model()), "inputs": [tensor(net.arrays[0])], "training": False}
