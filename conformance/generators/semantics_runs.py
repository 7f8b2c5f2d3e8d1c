"""The optimizers that take steps: rules and their parameters, what is around, wrappers (SPEC.md K.4 to K.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from semantics_cases import Numbers
from semantics_steps import SHAPES, Attrs, Run, stepped
from semantics_store import Json

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group

CUBE: dict[str, tuple[int, ...]] = {"dense/bias": (3,), "conv/kernel": (2, 3, 2)}
WIDE: dict[str, tuple[int, ...]] = {"wide/kernel": (2, 3), "tall/kernel": (4, 2), "dense/bias": (2,)}
_BIG = {"epsilon": 0.125}
_BOTH = ((0, "fresh", "from its beginning"), (9, "resumed", "after nine steps"))
_SCHEDULE = ObjectValue(
    "core:schedules.exponential_decay", {"initial_learning_rate": 0.25, "decay_steps": 2.0, "decay_rate": 0.5}
)


def cases() -> Iterator[tuple[str, Json]]:
    """Each run, by the name of its file."""
    for run in runs():
        yield f"steps/{run.rule if run.outer is None else 'loss_scale'}", stepped(run)


def runs() -> Iterator[Run]:
    """Every run."""
    yield from rules()
    yield from common()
    yield from wrappers()
    yield from further()


def _forms(rule: str, forms: Mapping[str, Attrs], **more: Any) -> Iterator[Run]:
    """Each parametrisation of a rule, fresh or resumed by turns; the first is both."""
    for index, (name, h) in enumerate(forms.items()):
        for at, when, words in _BOTH if not index else _BOTH[index % 2 :][:1]:
            told = ", ".join(f"{key} {value}" for key, value in h.items()) or "defaults"
            own = dict(more) | ({"steps": 2} if at else {})
            if rule == "nadam" and at:
                own["shared"] = {"u_product": 0.59375}
            yield Run(rule, f"{name}-{when}", f"{rule} ({told}), {words}", "CO-3 CO-6", h, at=at, **own)


def rules() -> Iterator[Run]:
    """The update rules, with each of their parameters."""
    buffer, nesterov = {"momentum_form": "buffer"}, {"nesterov": True}
    momentum = {"momentum": 0.75}
    yield from _forms(
        "sgd",
        {
            "plain": {},
            "velocity": momentum,
            "velocity-nesterov": momentum | nesterov,
            "buffer": momentum | buffer,
            "dampening": momentum | buffer | {"dampening": 0.25},
            "buffer-nesterov": momentum | buffer | nesterov | {"dampening": 0.25},
        },
    )
    corrected, betas = {"epsilon_mode": "corrected"}, {"beta_1": 0.75, "beta_2": 0.875}
    yield from _forms(
        "adam",
        {
            "defaults": {},
            "uncorrected": _BIG | betas,
            "corrected": _BIG | betas | corrected,
            "root": _BIG | corrected | {"epsilon_root": 0.25},
            "amsgrad": _BIG | betas | {"amsgrad": True},
            "amsgrad-corrected": _BIG | betas | corrected | {"amsgrad": True},
            "amsgrad-max": _BIG | betas | corrected | {"amsgrad": True, "amsgrad_max_of": "corrected"},
            "amsgrad-max-uncorrected": _BIG | betas | {"amsgrad": True, "amsgrad_max_of": "corrected"},
        },
    )
    outside, centered = {"epsilon_mode": "outside"}, {"centered": True}
    yield from _forms(
        "rmsprop",
        {
            "defaults": {},
            "inside": _BIG | {"rho": 0.75},
            "outside": _BIG | outside,
            "velocity": _BIG | momentum,
            "buffer": _BIG | momentum | buffer,
        },
    )
    # What was averaged before must leave a variance: these begin at the beginning.
    for name, h in (("centered", _BIG | centered), ("centered-outside", _BIG | centered | outside | momentum)):
        yield Run("rmsprop", f"{name}-fresh", f"rmsprop ({name}), from its beginning", "CO-3 CO-6", h)
    yield from _forms(
        "adagrad",
        {
            "defaults": {},
            "inside": _BIG | {"initial_accumulator": 0.5},
            "outside": _BIG | outside,
            "decay": {"rate_decay": 0.25},
        },
    )
    yield from _forms("adadelta", {"defaults": {}, "own": _BIG | {"rho": 0.75}})
    yield from _forms(
        "adamax", {"defaults": {}, "after": _BIG | betas, "in": _BIG | betas | {"epsilon_mode": "in_max"}}
    )
    yield from _forms(
        "nadam",
        {
            "defaults": {},
            "corrected": _BIG | betas,
            "uncorrected": _BIG | betas | {"epsilon_mode": "uncorrected"},
            "schedule": {"schedule_decay": 0.25, "schedule_base": 0.5},
        },
    )
    yield from _forms(
        "ftrl",
        {
            "defaults": {},
            "penalties": {"l1": 0.25, "l2": 0.125, "l2_shrinkage": 0.0625, "beta": 0.5, "initial_accumulator": 0.25},
            "power": {"learning_rate_power": -0.75},
        },
    )
    yield from _forms("lion", {"defaults": {}, "own": {"beta_1": 0.5, "beta_2": 0.75}})
    yield from _forms(
        "adafactor",
        {
            "defaults": {},
            "own": {
                "beta_2_decay": -0.5,
                "epsilon_1": 0.0625,
                "epsilon_2": 0.25,
                "clip_threshold": 0.5,
                "relative_step": False,
            },
        },
        shapes=CUBE,
    )
    yield Run(
        "adafactor",
        "small",
        "adafactor of variables that are nearly 0, with a rate above 1/√t",
        "CO-6",
        {"learning_rate": 0.75, "epsilon_2": 4.0},
        shapes=SHAPES,
    )
    adam = {"adam_beta_1": 0.75, "adam_beta_2": 0.875, "adam_rate_ratio": 0.5, "adam_weight_decay": 0.25, **_BIG}
    yield from _forms(
        "muon",
        {
            "defaults": {},
            "own": {
                **adam,
                "momentum": 0.75,
                "nesterov": False,
                "ns_steps": 2,
                "ns_coefficients": [2.0, -1.5, 0.5],
                "weight_decay": 0.125,
            },
            "plain": {"rms_rate": None, "adam_variables": ["wide/kernel"]},
        },
        shapes=WIDE,
    )
    yield from _forms("lamb", {"defaults": {}, "own": _BIG | betas})
    yield Run(
        "lamb",
        "zero",
        "lamb of a variable of zeros, and of gradients of zeros: the quotient is 1",
        "CO-6",
        _BIG,
        zeros=True,
    )
    yield from _forms("schedule_free_adamw", {"defaults": {}, "warmup": {"warmup_steps": 12, **_BIG, **betas}})


def common() -> Iterator[Run]:
    """What all optimizers do around their rule."""
    sgd: dict[str, Any] = {"momentum": 0.75}
    yield Run(
        "sgd",
        "decoupled",
        "Decoupled decay, but for one variable",
        "CO-2",
        sgd | {"weight_decay": 0.25, "decay_excluded": ["dense/bias"]},
    )
    yield Run(
        "sgd",
        "coupled",
        "Coupled decay, but for one variable",
        "CO-2",
        sgd | {"weight_decay": 0.25, "decay_mode": "coupled", "decay_excluded": ["dense/bias"]},
    )
    yield Run(
        "adam", "decoupled", "Decoupled decay does not go through the averages", "CO-2", {"weight_decay": 0.25, **_BIG}
    )
    yield Run(
        "adam",
        "coupled",
        "Coupled decay goes through the averages",
        "CO-2",
        {"weight_decay": 0.25, "decay_mode": "coupled", **_BIG},
    )
    yield Run(
        "sgd",
        "maximize",
        "Up the gradient, with a decay that still shrinks",
        "CO-2",
        sgd | {"maximize": True, "weight_decay": 0.25, "decay_mode": "coupled"},
    )
    yield Run(
        "sgd",
        "loss-scale",
        "Gradients of a scaled loss are divided before they are clipped",
        "CO-2 CO-4",
        sgd | {"loss_scale": 8.0, "clip_value": 0.125},
    )
    yield Run("sgd", "clip-value", "Each element is clipped", "CO-4", sgd | {"clip_value": 0.5})
    yield Run(
        "sgd",
        "clip-norm",
        "The gradient of each variable is shortened, a short one is not",
        "CO-4",
        sgd | {"clip_norm": 2.0},
    )
    yield Run("sgd", "clip-global", "All gradients are shortened together", "CO-4", sgd | {"clip_global_norm": 1.5})
    yield Run(
        "sgd", "clip-epsilon", "With an epsilon beside the norm", "CO-4", {"clip_norm": 1.0, "clip_epsilon": 0.25}
    )
    yield Run(
        "sgd",
        "clip-all",
        "By value, then by norm, then by the norm of all",
        "CO-4",
        {"clip_value": 1.25, "clip_norm": 1.5, "clip_global_norm": 1.75},
    )
    yield Run(
        "sgd",
        "clip-decay",
        "Clipping comes before coupled decay",
        "CO-2 CO-4",
        {"clip_norm": 0.5, "weight_decay": 0.5, "decay_mode": "coupled"},
    )
    yield Run(
        "adam",
        "missing",
        "A variable without a gradient stays as it is, and so do its slots",
        "CO-2",
        {},
        missing={0: ["dense/bias"], 2: ["dense/kernel"]},
        at=3,
    )
    groups = [
        Group(["dense/bias"], {"learning_rate": 0.5, "weight_decay": 0.25}),
        Group(["dense/kernel"], {"momentum": 0.5}),
    ]
    yield Run(
        "sgd",
        "groups",
        "A group's own hyperparameters",
        "CO-1 CO-2",
        {"momentum": 0.75, "weight_decay": 0.125},
        groups=groups,
        at=2,
    )
    plain = {"learning_rate": 0.5, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}
    yield Run(
        "sgd",
        "group-default",
        "A group has the default where the optimizer has another value",
        "CO-1 CO-2",
        {"momentum": 0.75, "weight_decay": 0.125, "clip_norm": 0.25},
        groups=[Group(["dense/bias"], plain), Group(["dense/kernel"])],
        at=2,
    )
    yield Run(
        "sgd", "rate", "The rate in force stands before the configured one", "CO-2", {}, fields={"learning_rate": 0.25}
    )
    schedule = {"schedule": _SCHEDULE, "schedule_clock": "step"}
    yield Run(
        "sgd",
        "schedule",
        "A schedule stands before both, and counts as before the step",
        "CO-2 CO-5",
        {"learning_rate": 0.0625},
        fields={**schedule, "learning_rate": 0.125},
        at=1,
        steps=3,
    )
    group = [Group(["dense/bias"], {"learning_rate": 0.5}), Group(["dense/kernel"])]
    yield Run(
        "sgd",
        "schedule-group",
        "A group's own rate stands before the schedule",
        "CO-2",
        {},
        fields=schedule,
        groups=group,
    )
    accumulated = {"accumulation_steps": 2}
    yield Run(
        "sgd", "clock-step", "A clock of updates", "CO-5 CO-8", accumulated, fields=schedule, steps=4, at=1, micro=2
    )
    micro = {"schedule": _SCHEDULE, "schedule_clock": "micro_step"}
    yield Run(
        "sgd", "clock-micro", "A clock of gradients", "CO-5 CO-8", accumulated, fields=micro, steps=4, at=1, micro=2
    )
    yield Run(
        "adam", "fresh", "A new variable beside others that took steps", "CO-3 CO-6", _BIG, at=4, fresh=["dense/bias"]
    )
    yield Run(
        "schedule_free_adamw",
        "fresh",
        "A new variable begins as its own iterate",
        "CO-3 CO-6",
        _BIG,
        at=4,
        fresh=["dense/kernel"],
    )
    foreign = {
        "dense/kernel": {"momentum": Numbers("foreign")(3, 2)},
        "dense/bias": {"momentum": Numbers("foreign/b")(2)},
    }
    yield Run(
        "sgd",
        "foreign-slot",
        "A slot that the rule does not name is data that no step reads",
        "CO-7",
        {},
        at=2,
        extra=foreign,
    )
    bounds = {
        "dense/kernel": ObjectValue("core:constraints.max_norm", {"max_value": 0.75}),
        "dense/bias": ObjectValue("core:constraints.non_neg", {}),
    }
    yield Run("sgd", "constraints", "The constraint comes after the update", "CV-8 CO-2", sgd, constraints=bounds)
    averaged = {"ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    yield Run(
        "sgd",
        "constraints-average",
        "The average is taken before the constraint",
        "CV-8 CO-2 CO-9",
        averaged,
        constraints=bounds,
    )


def wrappers() -> Iterator[Run]:
    """Accumulation, averages, and scaled losses."""
    for at, when, words in _BOTH:
        micro = None if not at else 3 * at + 1
        more: dict[str, Any] = {"at": at, "micro": micro}
        yield Run(
            "adam",
            f"accumulation-{when}",
            f"Every third gradient makes an update, {words}",
            "CO-3 CO-8",
            {"accumulation_steps": 3, "clip_norm": 1.0, **_BIG},
            steps=7,
            **more,
        )
    yield Run(
        "sgd",
        "accumulation-missing",
        "A variable without a gradient of its own at an update is not updated",
        "CO-8",
        {"accumulation_steps": 2},
        steps=4,
        missing={1: ["dense/bias"]},
    )
    ema = {"ema_momentum": 0.75}
    for at, when, words in _BOTH:
        yield Run(
            "sgd", f"average-{when}", f"An average of the variables, {words}", "CO-9", ema | {"momentum": 0.5}, at=at
        )
        yield Run(
            "sgd",
            f"average-initial-{when}",
            f"An average that begins as the variables, {words}",
            "CO-9",
            ema | {"ema_start": "initial"},
            at=at,
        )
    yield Run(
        "sgd",
        "average-overwrite",
        "Every second step the average takes the variable's place",
        "CO-9",
        ema | {"ema_overwrite_frequency": 2},
        steps=5,
    )
    yield Run(
        "adam",
        "average-accumulation",
        "The average moves at each gradient",
        "CO-8 CO-9",
        ema | {"ema_overwrite_frequency": 3, "accumulation_steps": 2, **_BIG},
        steps=6,
    )
    plain = {"initial_scale": 16.0}
    yield Run("adam", "fresh", "The scale begins as it is told", "CO-10", _BIG, outer=plain, scale=16.0)
    yield Run(
        "sgd",
        "grows",
        "The scale grows after so many steps",
        "CO-10",
        {"momentum": 0.5},
        outer={**plain, "growth_steps": 2, "growth_factor": 4.0},
        scale=16.0,
        steps=5,
    )
    yield Run(
        "sgd",
        "backs-off",
        "A gradient that is not finite makes no step, and the scale smaller",
        "CO-10",
        {"momentum": 0.5},
        outer={**plain, "backoff_factor": 0.25, "growth_steps": 3},
        scale=16.0,
        steps=5,
        bad=[1, 3],
    )
    yield Run(
        "sgd",
        "minimum",
        "The scale has a least value; skipped steps count",
        "CO-10",
        {},
        outer={**plain, "minimum_scale": 8.0, "count_skipped": True},
        scale=16.0,
        bad=[0, 1],
        steps=3,
    )
    yield Run(
        "sgd", "static", "A scale that is not dynamic", "CO-10", {}, outer={**plain, "dynamic": False}, scale=16.0
    )
    resumed = {"shared": {"dynamic_scale": np.float32(64.0), "step_counter": np.int32(1)}, "growth_steps": 2}
    yield Run("adam", "resumed", "Counter and scale go on", "CO-10", _BIG, outer=resumed, at=5, scale=64.0)


def further() -> Iterator[Run]:
    """What holds in a step without an update or a gradient, groups with limits, and the rate that a step leaves."""
    bounds = {
        "dense/kernel": ObjectValue("core:constraints.max_norm", {"max_value": 0.75}),
        "dense/bias": ObjectValue("core:constraints.min_max_norm", {"max_value": 0.5, "rate": 0.5}),
    }
    yield Run(
        "sgd",
        "constraints-accumulation",
        "Constraints hold at each gradient, and not for a variable without one",
        "CV-8 CO-2 CO-8",
        {"accumulation_steps": 3},
        constraints=bounds,
        steps=5,
        missing={0: ["dense/bias"], 3: ["dense/kernel"]},
    )
    yield Run(
        "sgd",
        "average-missing",
        "The average moves, and may take the variable's place, without a gradient too",
        "CO-2 CO-9",
        {"ema_momentum": 0.75, "ema_overwrite_frequency": 2},
        steps=4,
        missing={0: ["dense/bias"], 1: ["dense/bias"], 2: ["dense/kernel"]},
        at=1,
    )
    yield Run(
        "adam",
        "fresh-missing",
        "A step makes the slots of all variables",
        "CO-2 CO-3",
        _BIG,
        missing={0: ["dense/bias"]},
    )
    groups = [Group(["dense/kernel"]), Group(["dense/bias"], {"clip_global_norm": 0.5, "clip_epsilon": 0.25})]
    yield Run("sgd", "clip-group", "A group's own limit of the norm of all", "CO-1 CO-4", {}, groups=groups)
    schedule = {"schedule": _SCHEDULE, "schedule_clock": "micro_step", "learning_rate": 0.75}
    yield Run(
        "sgd",
        "rate-schedule",
        "A schedule leaves its rate at each update",
        "O-5 CO-2",
        {"accumulation_steps": 2},
        fields=schedule,
        steps=4,
        rates=True,
    )
    yield Run(
        "sgd",
        "rate-constant",
        "Without a schedule the rate stays",
        "O-5",
        {},
        fields={"learning_rate": 0.25},
        rates=True,
    )
    plain = {"initial_scale": 16.0}
    yield Run(
        "sgd",
        "rate",
        "The rate of a wrapper is that of what it wraps, also after a step that is left out",
        "O-5 CO-10",
        {},
        fields={"schedule": _SCHEDULE, "schedule_clock": "step"},
        outer=plain,
        scale=16.0,
        steps=3,
        bad=[1],
        rates=True,
    )
    yield Run(
        "nadam",
        "skipped-first",
        "The product of momenta begins with the first step that is taken",
        "CO-6 CO-10",
        {},
        outer={**plain, "count_skipped": True},
        scale=16.0,
        bad=[0],
    )
    yield Run(
        "nadam",
        "accumulation",
        "The product of momenta begins with the first update",
        "CO-6 CO-8",
        {"accumulation_steps": 2},
        steps=4,
    )
