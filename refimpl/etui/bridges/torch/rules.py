"""Regularizers and constraints of the core vocabulary as functions of torch tensors (SPEC.md J.13).

Both are meant along the axes of the variable as the etui has it, so they are given that view of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from etui.canonical.values import ObjectValue
from etui.errors import error, shown

Regularizer = Callable[[torch.Tensor], torch.Tensor]
Constraint = Callable[[torch.Tensor], torch.Tensor]

_EPSILON = 1e-7


def _l1(x: torch.Tensor, *, l1: float = 0.01) -> torch.Tensor:
    return l1 * x.abs().sum()


def _l2(x: torch.Tensor, *, l2: float = 0.01) -> torch.Tensor:
    return l2 * torch.square(x).sum()


def _l1_l2(x: torch.Tensor, *, l1: float = 0.0, l2: float = 0.0) -> torch.Tensor:
    return l1 * x.abs().sum() + l2 * torch.square(x).sum()


def _orthogonal(x: torch.Tensor, *, factor: float = 0.01, mode: str = "rows") -> torch.Tensor:
    """The mean, times the factor, of what pairs of rows (or columns), scaled to the norm 1, have in common."""
    rows = x if mode == "rows" else x.T
    norms = torch.clamp(torch.rsqrt(torch.square(rows).sum(dim=1, keepdim=True)), max=1 / _EPSILON)
    product = (rows * norms) @ (rows * norms).T
    size = rows.shape[0]
    off_diagonal = product * (1.0 - torch.eye(size, dtype=x.dtype, device=x.device))
    return factor * 0.5 * off_diagonal.abs().sum() / (size * (size - 1.0) / 2.0)


def _norms(x: torch.Tensor, axis: Any) -> torch.Tensor:
    axes = axis if isinstance(axis, list) else list(range(x.dim())) if axis is None else [axis]
    return torch.sqrt(torch.square(x).sum(dim=axes, keepdim=True))


def _max_norm(x: torch.Tensor, *, max_value: float = 2.0, axis: Any = 0) -> torch.Tensor:
    norms = _norms(x, axis)
    return x * (torch.clamp(norms, 0.0, max_value) / (_EPSILON + norms))


def _min_max_norm(
    x: torch.Tensor, *, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
) -> torch.Tensor:
    norms = _norms(x, axis)
    wanted = rate * torch.clamp(norms, min_value, max_value) + (1 - rate) * norms
    return x * (wanted / (_EPSILON + norms))


def _unit_norm(x: torch.Tensor, *, axis: Any = 0) -> torch.Tensor:
    return x / (_EPSILON + _norms(x, axis))


def _non_neg(x: torch.Tensor) -> torch.Tensor:
    return torch.clamp(x, min=0.0)


_REGULARIZERS: dict[str, Callable[..., torch.Tensor]] = {
    "l1": _l1,
    "l2": _l2,
    "l1_l2": _l1_l2,
    "orthogonal_regularizer": _orthogonal,
}
_CONSTRAINTS: dict[str, Callable[..., torch.Tensor]] = {
    "max_norm": _max_norm,
    "min_max_norm": _min_max_norm,
    "unit_norm": _unit_norm,
    "non_neg": _non_neg,
}


def regularizer(value: Any, where: str) -> Regularizer | None:
    """The function of a `$object` of a class ``core:regularizers.<name>``; `None` for null.

    Raises:
        TransferError: ``torch-value``, it is none of the vocabulary.
    """
    return _function(value, "regularizers", _REGULARIZERS, where)


def constraint(value: Any, where: str) -> Constraint | None:
    """The function of a `$object` of a class ``core:constraints.<name>``; `None` for null.

    Raises:
        TransferError: ``torch-value``, it is none of the vocabulary.
    """
    return _function(value, "constraints", _CONSTRAINTS, where)


def _function(value: Any, kind: str, functions: dict[str, Callable[..., torch.Tensor]], where: str) -> Any:
    if value is None:
        return None
    prefix = f"core:{kind}."
    if not isinstance(value, ObjectValue) or value.class_name.removeprefix(prefix) not in functions:
        raise error("torch-value", where=where, found=f"{shown(value)} among the {kind}")
    function = functions[value.class_name.removeprefix(prefix)]
    return partial(function, **value.config) if value.config else function
