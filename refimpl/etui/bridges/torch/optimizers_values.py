"""Groups of torch optimizers in the words of the core vocabulary (SPEC.md, annex M.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from etui.bridges.torch import optimizers_hooks as hooks

Options = Mapping[str, Any]


def _sgd(group: Options) -> tuple[str, dict[str, Any]]:
    values = {"momentum": group["momentum"], "nesterov": group["nesterov"]}
    if not group["momentum"]:
        return "sgd", {"momentum": 0.0}
    if hooks.RATE in group:
        return "sgd", values
    return "sgd", values | {"momentum_form": "buffer", "dampening": group["dampening"]}


def _epsilon(group: Options) -> dict[str, Any]:
    if hooks.EPSILON in group:
        return {"epsilon": group[hooks.EPSILON], "epsilon_mode": "uncorrected"}
    return {"epsilon": group["eps"], "epsilon_mode": "corrected"}


def _betas(group: Options) -> dict[str, Any]:
    return {"beta_1": group["betas"][0], "beta_2": group["betas"][1]}


def _adam(group: Options) -> tuple[str, dict[str, Any]]:
    return "adam", {**_betas(group), **_epsilon(group), "amsgrad": group["amsgrad"]}


def _nadam(group: Options) -> tuple[str, dict[str, Any]]:
    return "nadam", {**_betas(group), **_epsilon(group), "schedule_decay": group["momentum_decay"]}


def _shift(group: Options, inside: str, outside: str) -> dict[str, Any]:
    shift = group.get(hooks.SHIFT)
    return {"epsilon": group["eps"] if shift is None else shift, "epsilon_mode": outside if shift is None else inside}


def _rmsprop(group: Options) -> tuple[str, dict[str, Any]]:
    values = {"rho": group["alpha"], "momentum": group["momentum"], "centered": group["centered"]}
    form = "velocity" if hooks.RATE in group or not group["momentum"] else "buffer"
    return "rmsprop", {**values, "momentum_form": form, **_shift(group, "inside", "outside")}


def _adagrad(group: Options) -> tuple[str, dict[str, Any]]:
    begin = group["initial_accumulator_value"] - group.get(hooks.SHIFT, 0.0)
    values = {"rate_decay": group["lr_decay"], "initial_accumulator": begin}
    return "adagrad", {**values, **_shift(group, "inside", "outside")}


def _adadelta(group: Options) -> tuple[str, dict[str, Any]]:
    return "adadelta", {"rho": group["rho"], "epsilon": group["eps"]}


def _adamax(group: Options) -> tuple[str, dict[str, Any]]:
    return "adamax", {**_betas(group), **_shift(group, "after_max", "in_max")}


def _adafactor(group: Options) -> tuple[str, dict[str, Any]]:
    # torch takes the smallest step of the parameter's dtype where none is given; groups of float32 are the usual ones.
    floor = torch.finfo(group.get("dtype", torch.float32)).eps if group["eps"][0] is None else group["eps"][0]
    values = {"beta_2_decay": group["beta2_decay"], "epsilon_1": floor**2, "epsilon_2": group["eps"][1]}
    return "adafactor", values | {"clip_threshold": group["d"]}


READERS: Mapping[str, Callable[[Options], tuple[str, dict[str, Any]]]] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "NAdam": _nadam,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
    "Adadelta": _adadelta,
    "Adamax": _adamax,
    "Adafactor": _adafactor,
}
"""By the name of the class in `torch.optim`: a function of a group that gives the rule and its hyperparameters."""

# A key of the groups, or a name of the state, that tells a class from the others, in the order of asking.
_SIGNS: tuple[tuple[str, str], ...] = (
    ("momentum_decay", "NAdam"),
    ("beta2_decay", "Adafactor"),
    ("centered", "RMSprop"),
    ("lr_decay", "Adagrad"),
    ("dampening", "SGD"),
    ("exp_inf", "Adamax"),
    ("amsgrad", "Adam"),
    ("rho", "Adadelta"),
)


def kind_of(group: Options, states: Iterable[Options]) -> str:
    """The class of an optimizer by a group of its `state_dict`, or an empty string.

    A `state_dict` does not name the class. Of Adam and AdamW it can be told where the group says so (torch 2.6 on), or
    where there is no decay and they are the same.
    """
    names = set(group).union(*states)
    kind = next((kind for sign, kind in _SIGNS if sign in names), "")
    if kind == "Adam" and "decoupled_weight_decay" not in group and group.get("weight_decay"):
        return ""
    return kind


def decoupled(kind: str, group: Options) -> bool:
    """Whether the decay of a group is apart from the gradient."""
    return kind in {"AdamW", "Adafactor"} or bool(group.get("decoupled_weight_decay"))
