"""Stored state into an optimizer of torch that its user made (SPEC.md, annex M.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etui.bridges.torch.adapters import COUNTERS, CoreOptimizer
from etui.bridges.torch.optimizers import Target, make_optimizer
from etui.containers.optimizer import Optimizer
from etui.report import Report
from etui.transfer import NOT_TRANSFERABLE, Transfer


def fit_optimizer(stored: Optimizer, targets: Sequence[Target], optimizer: Any, report: Report) -> Any:
    """Plan to put stored state into an optimizer that its user made.

    Args:
        stored: of the core vocabulary.
        targets: the parameters and the variables that they are.
        optimizer: of torch.
        report: gets an entry for each slot.

    Returns:
        A function without arguments that does it, or `None` where the report says why it cannot be done.
    """
    stock = not isinstance(optimizer, CoreOptimizer)
    made = make_optimizer(stored, targets, stock=stock, report=report)
    if made is None:
        return None
    reason = _differs(made, optimizer)
    if reason:
        report.add("optimizer", "optimizer", "not-transferable", reason, Transfer(NOT_TRANSFERABLE))
        return None
    known = {id(param) for group in made.param_groups for param in group["params"]}
    for group in optimizer.param_groups:
        for param in (param for param in group["params"] if id(param) not in known):
            name = next((one.path for one in targets if one.param is param), f"a parameter of {list(param.shape)}")
            report.add("slot", f"optimizer/{name}", "missing", "the stored optimizer does not train it")
    return lambda: _take_over(made, optimizer)


def _differs(made: Any, optimizer: Any) -> str:
    """Why an optimizer cannot take the state of another over, or an empty string."""
    ours, theirs = type(optimizer).__name__, type(made).__name__
    if ours != theirs:
        return f"the stored one is a {theirs} in torch, and {ours} was given"
    if isinstance(optimizer, CoreOptimizer) and optimizer.algorithm != made.algorithm:
        return f"the stored rule is {made.algorithm}, and that of the given one {optimizer.algorithm}"
    home = {id(param): at for at, group in enumerate(made.param_groups) for param in group["params"]}
    for group in optimizer.param_groups:
        if len({home[id(param)] for param in group["params"] if id(param) in home}) > 1:
            return "a group of the given optimizer has parameters of several stored groups"
    return ""


def _take_over(made: Any, optimizer: Any) -> None:
    """Give an optimizer the state, the hyperparameters and the hooks of another one of its class."""
    homes = {id(param): group for group in made.param_groups for param in group["params"]}
    for group in optimizer.param_groups:
        home = next((homes[id(param)] for param in group["params"] if id(param) in homes), None)
        if home is not None:
            group.update({key: value for key, value in home.items() if key not in {"params", "paths", COUNTERS}})
        for param in group["params"]:
            if id(param) in homes:
                optimizer.state[param] = made.state[param]
    if isinstance(optimizer, CoreOptimizer):
        optimizer.param_groups[0][COUNTERS] = made.counters
        optimizer.layouts |= made.layouts
        path_of = {
            id(one): path
            for group in made.param_groups
            for one, path in zip(group["params"], group["paths"], strict=True)
        }
        for group in optimizer.param_groups:
            group["paths"] = [path_of.get(id(param), "") for param in group["params"]]
        return
    for kind in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        standing = list(getattr(optimizer, kind).values())
        for hook in getattr(made, kind).values():
            if hook not in standing:
                register = optimizer.register_step_pre_hook if "pre" in kind else optimizer.register_step_post_hook
                register(hook)
