"""Resuming in PyTorch: with the adapters, with torch's own optimizers, and wrongly on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from resume_case import Case, Result, worst

import etui

VARIANTS = ("exact", "stock")
CONTROLS = ("fresh-state", "step-off-by-one", "unscaled-velocity", "stock-epsilon")
_LOST = ("approximated", "not-transferable")
# oneDNN's backward convolutions crash on some processors.
torch.backends.mkldnn.enabled = False


def applies(variant: str, optimizer: str, dtype: str) -> bool:
    """Controls are run where the fault that they make is one."""
    if variant == "unscaled-velocity":
        return optimizer in {"sgd-momentum", "sgd-nesterov"}
    if variant == "stock-epsilon":
        return optimizer in {"adam", "rmsprop"} and dtype == "float64"
    return variant in VARIANTS or optimizer in {"adam", "rmsprop", "sgd-momentum"} - (
        {"sgd-momentum", "rmsprop"} if variant == "step-off-by-one" else set()
    )


def run(case: Case, variant: str) -> Result:
    """Load the module with its optimizer and loss, and train on."""
    report = etui.Report()
    stock = variant in {"stock", "unscaled-velocity", "stock-epsilon"}
    resumed = etui.torch.load(case.path, allow=_LOST if variant == "stock" else (), stock=stock, report=report)
    transfer, reason = worst(report)
    if resumed.optimizer is None:
        return Result([], transfer, reason)
    _FAULTS.get(variant, _none)(resumed.optimizer)
    losses = []
    for x, y in case.batches:
        resumed.optimizer.zero_grad()
        loss = resumed.loss(resumed.module(torch.from_numpy(x)), torch.from_numpy(np.asarray(y)))
        losses.append(float(loss.detach()))
        loss.backward()
        resumed.optimizer.step()
        if resumed.scheduler is not None:
            resumed.scheduler.step()
    return Result(losses, transfer, reason)


def _none(_: Any) -> None:
    """Nothing is wrong."""


def _fresh(optimizer: Any) -> None:
    for state in optimizer.state.values():
        for name in state:
            state[name] = torch.zeros_like(state[name])
    optimizer.counters.update({"step": 0, "micro_step": 0})


def _off_by_one(optimizer: Any) -> None:
    optimizer.counters["step"] -= 1


def _unscaled(optimizer: Any) -> None:
    for group in optimizer.param_groups:
        for param in group["params"]:
            optimizer.state[param]["momentum_buffer"].mul_(-group["lr"])


def _stock_epsilon(optimizer: Any) -> None:
    optimizer._optimizer_step_pre_hooks.clear()  # noqa: SLF001  the fault: torch's own rule, without the hook
    for group in optimizer.param_groups:
        if "core_shift" in group:
            for param in group["params"]:
                optimizer.state[param]["square_avg"].sub_(group["core_shift"])
        group["eps"] = 1e-7


_FAULTS: dict[str, Callable[[Any], None]] = {
    "fresh-state": _fresh,
    "step-off-by-one": _off_by_one,
    "unscaled-velocity": _unscaled,
    "stock-epsilon": _stock_epsilon,
}
