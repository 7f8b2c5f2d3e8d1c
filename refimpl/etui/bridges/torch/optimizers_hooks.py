"""Hooks by which an optimizer of torch follows a rule of the core vocabulary that it does not state (SPEC.md, M.4).

What a hook needs is in the groups of the optimizer, so it passes through `state_dict`. The hooks themselves belong to
the optimizer object, as all hooks of torch do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

# Keys of groups.
EPSILON = "core_epsilon"  # the vocabulary's epsilon, where `eps` changes with each step
RATE = "core_rate"  # the rate by which a buffer of momentum is divided
SHIFT = "core_shift"  # the epsilon that is part of an average of squares or of a norm
DECAY = "core_decay"  # decay that is not part of the gradient
STEP = "core_step"  # updates, of an optimizer that does not count them

Hook = Callable[[Any, Any, Any], None]


def next_step(optimizer: Any, group: dict[str, Any]) -> int:
    """The number of the update that comes next, from the parameters' own counters."""
    return 1 + max(
        (int(optimizer.state[p]["step"]) for p in group["params"] if "step" in optimizer.state[p]), default=0
    )


def drive_epsilon(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """Adam: epsilon is added to the root of the uncorrected average, so torch's is it over sqrt(1 - beta_2^t)."""
    for group in optimizer.param_groups:
        correction = 1.0 - group["betas"][1] ** next_step(optimizer, group)
        group["eps"] = group[EPSILON] / math.sqrt(correction)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
def rescale_buffers(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """SGD and RMSprop: the velocity is the buffer times the rate, so the buffer changes as the rate does."""
    for group in optimizer.param_groups:
        rate = float(group["lr"])
        if rate != group[RATE] and rate:
            for buffer in _each(optimizer, group, "momentum_buffer"):
                buffer.mul_(group[RATE] / rate)
            group[RATE] = rate


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
def shift_squares(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """RMSprop: the average holds epsilon, which its decay would diminish."""
    for group in optimizer.param_groups:
        for square in _each(optimizer, group, "square_avg"):
            square.add_(group[SHIFT] * (1.0 - group["alpha"]) / group["alpha"])


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
def shift_norms(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """Adamax: the norm holds epsilon, which its decay would diminish."""
    for group in optimizer.param_groups:
        for norm in _each(optimizer, group, "exp_inf"):
            norm.add_(group[SHIFT] * (1.0 - group["betas"][1]) / group["betas"][1])


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
def decay_first(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """Decay that is not part of the gradient, before the update."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                param.mul_(1.0 - group[DECAY] * float(group["lr"]))


def count_steps(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """SGD: it has no counter of its own."""
    for group in optimizer.param_groups:
        group[STEP] = group.get(STEP, 0) + 1


def _each(optimizer: Any, group: dict[str, Any], name: str) -> Iterator[Any]:
    for param in group["params"]:
        found = optimizer.state[param].get(name) if param in optimizer.state else None
        if found is not None and param.grad is not None:
            yield found
