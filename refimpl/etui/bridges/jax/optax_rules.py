"""The update rule of an optimizer of the core vocabulary as an optax transformation (SPEC.md annex N.3).

What optax's own transformations express exactly is made of them; for the rest there are those of
`etui.bridges.jax.transforms`. With `stock` only optax's own are used, with what that needs to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax.numpy as jnp
import optax

from etui.bridges.jax import transforms
from etui.bridges.jax.transforms import Rate
from etui.errors import error
from etui.transfer import APPROXIMATE, EXACT, REPARAMETRISED, Transfer

Hyperparameters = Mapping[str, Any]
Rule: TypeAlias = optax.GradientTransformation

LAST_RATE = optax.scale_by_learning_rate
"""The factor −η, behind a rule that does not know it."""

RENAMED = {"adamax": {"velocity": "norm"}}
"""Slots that a shared class of states calls otherwise: algorithm -> role in the class -> slot."""


def rule(algorithm: str, h: Hyperparameters, rate: Rate) -> Rule:
    """The exact rule.

    Args:
        algorithm: without its namespace.
        h: all hyperparameters, defaults filled in.
        rate: a number, or a function of the completed updates.

    Raises:
        TransferError: ``jax-optimizer``, a rule that is not known here.
    """
    if algorithm not in _RULES:
        raise error("jax-optimizer", where="algorithm", found=f"core:{algorithm}")
    return _RULES[algorithm](h, rate)


def chosen(h: Hyperparameters, *names: str) -> dict[str, Any]:
    """Some of the hyperparameters, as keyword arguments."""
    return {name: h[name] for name in names}


def _sgd(h: Hyperparameters, rate: Rate) -> Rule:
    if not h["momentum"]:
        return LAST_RATE(rate)
    if h["momentum_form"] == "velocity":
        # v = μv − ηg: the rate is inside of the trace, so that a schedule is right, too.
        return optax.chain(LAST_RATE(rate), optax.trace(h["momentum"], h["nesterov"]))
    if h["dampening"]:
        return transforms.sgd(rate, **chosen(h, "momentum", "nesterov", "dampening"))
    return optax.chain(optax.trace(h["momentum"], h["nesterov"]), LAST_RATE(rate))


def _adam(h: Hyperparameters, rate: Rate) -> Rule:
    if h["epsilon_mode"] == "corrected" and not h["amsgrad"]:
        return optax.chain(
            optax.scale_by_adam(h["beta_1"], h["beta_2"], h["epsilon"], h["epsilon_root"]), LAST_RATE(rate)
        )
    if h["epsilon_mode"] == "corrected" and h["amsgrad_max_of"] == "corrected":
        return optax.chain(
            optax.scale_by_amsgrad(h["beta_1"], h["beta_2"], h["epsilon"], h["epsilon_root"]), LAST_RATE(rate)
        )
    names = ("beta_1", "beta_2", "epsilon", "epsilon_mode", "epsilon_root", "amsgrad", "amsgrad_max_of")
    return transforms.adam(rate, **chosen(h, *names))


def _rmsprop(h: Hyperparameters, rate: Rate) -> Rule:
    scale = optax.scale_by_stddev if h["centered"] else optax.scale_by_rms
    scaled = scale(h["rho"], h["epsilon"], eps_in_sqrt=h["epsilon_mode"] == "inside")
    if not h["momentum"]:
        return optax.chain(scaled, LAST_RATE(rate))
    trace = optax.trace(h["momentum"])
    if h["momentum_form"] == "velocity":
        # buf = μ·buf + ηu and p −= buf: the trace of −ηu is −buf, which the sign on both sides makes buf.
        return optax.chain(scaled, _times(rate), trace, optax.scale(-1.0))
    return optax.chain(scaled, trace, LAST_RATE(rate))


def _times(rate: Rate) -> Rule:
    return optax.scale_by_learning_rate(rate, flip_sign=False)


def _adagrad(h: Hyperparameters, rate: Rate) -> Rule:
    if h["epsilon_mode"] == "inside" and not h["rate_decay"]:
        return optax.chain(optax.scale_by_rss(h["initial_accumulator"], h["epsilon"]), LAST_RATE(rate))
    return transforms.adagrad(rate, **chosen(h, "initial_accumulator", "epsilon", "epsilon_mode", "rate_decay"))


def _adadelta(h: Hyperparameters, rate: Rate) -> Rule:
    return optax.chain(optax.scale_by_adadelta(h["rho"], h["epsilon"]), LAST_RATE(rate))


def _adamax(h: Hyperparameters, rate: Rate) -> Rule:
    if h["epsilon_mode"] == "in_max":
        return optax.chain(optax.scale_by_adamax(h["beta_1"], h["beta_2"], h["epsilon"]), LAST_RATE(rate))
    return transforms.adamax(rate, **chosen(h, "beta_1", "beta_2", "epsilon"))


def _nadam(h: Hyperparameters, rate: Rate) -> Rule:
    names = ("beta_1", "beta_2", "epsilon", "epsilon_mode", "schedule_decay", "schedule_base")
    return transforms.nadam(rate, **chosen(h, *names))


def _ftrl(h: Hyperparameters, rate: Rate) -> Rule:
    names = ("learning_rate_power", "initial_accumulator", "l1", "l2", "l2_shrinkage", "beta")
    return transforms.ftrl(rate, **chosen(h, *names))


def _lion(h: Hyperparameters, rate: Rate) -> Rule:
    return optax.chain(optax.scale_by_lion(h["beta_1"], h["beta_2"]), LAST_RATE(rate))


def _adafactor(h: Hyperparameters, rate: Rate) -> Rule:
    names = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
    return transforms.adafactor(rate, **chosen(h, *names))


def _muon(h: Hyperparameters, rate: Rate) -> Rule:
    names = ("momentum", "nesterov", "ns_steps", "ns_coefficients", "rms_rate")
    return transforms.muon(rate, **chosen(h, *names))


def _lamb(h: Hyperparameters, rate: Rate) -> Rule:
    adam = optax.scale_by_adam(h["beta_1"], h["beta_2"], h["epsilon"])
    return optax.chain(adam, optax.scale_by_trust_ratio(), LAST_RATE(rate))


def _schedule_free(h: Hyperparameters, rate: Rate) -> Rule:
    return transforms.schedule_free_adamw(rate, **chosen(h, "beta_1", "beta_2", "epsilon", "warmup_steps"))


_RULES: dict[str, Callable[[Hyperparameters, Rate], Rule]] = {
    "adadelta": _adadelta,
    "adafactor": _adafactor,
    "adagrad": _adagrad,
    "adam": _adam,
    "adamax": _adamax,
    "ftrl": _ftrl,
    "lamb": _lamb,
    "lion": _lion,
    "muon": _muon,
    "nadam": _nadam,
    "rmsprop": _rmsprop,
    "schedule_free_adamw": _schedule_free,
    "sgd": _sgd,
}

# What stock optax is for each rule: the transformation, hyperparameters that describe the result, and the class.
Stock: TypeAlias = tuple[Rule, dict[str, Any], Transfer]
_SAME = Transfer(EXACT)


def stock_rule(algorithm: str, h: Hyperparameters, rate: Rate) -> Stock:
    """The rule by optax's own transformations alone, as optax's users write it.

    Returns:
        The transformation; the hyperparameters of the core vocabulary that are others then; and how faithful that is.

    Raises:
        TransferError: ``jax-optimizer``, optax has none.
    """
    if algorithm == "sgd":
        return _stock_sgd(h, rate)
    if algorithm == "adam":
        return _stock_adam(h, rate)
    if algorithm == "adamax" and h["epsilon_mode"] == "after_max":
        made = optax.chain(optax.scale_by_adamax(h["beta_1"], h["beta_2"], h["epsilon"]), LAST_RATE(rate))
        return made, {"epsilon_mode": "in_max"}, Transfer(APPROXIMATE, "u = max(beta_2 u, |g| + epsilon)", ADAMAX_BOUND)
    own = algorithm in ("nadam", "ftrl", "adafactor", "muon", "schedule_free_adamw")
    adagrad = algorithm == "adagrad" and (h["epsilon_mode"] != "inside" or h["rate_decay"])
    if own or adagrad:
        raise error("jax-optimizer", where="algorithm", found=f"core:{algorithm}, which stock optax does not have")
    return rule(algorithm, h, rate), {}, _SAME


ADAMAX_BOUND = 1e-7
"""Largest relative difference of the loss of `resume_jax.py` over 20 steps with stock Adamax, rounded up."""


def _stock_sgd(h: Hyperparameters, rate: Rate) -> Stock:
    if not h["momentum"] or h["momentum_form"] == "buffer":
        if h["dampening"]:
            raise error("jax-optimizer", where="dampening", found="a dampening, which stock optax does not have")
        return _sgd(h, rate), {}, _SAME
    if callable(rate):
        return _sgd(h, rate), {}, Transfer(EXACT, "the rate stands before the trace: chain(scale_by_schedule, trace)")
    made = optax.chain(optax.trace(h["momentum"], h["nesterov"]), LAST_RATE(rate))
    return made, {"momentum_form": "buffer"}, Transfer(REPARAMETRISED, "trace = -momentum / learning_rate")


def _stock_adam(h: Hyperparameters, rate: Rate) -> Stock:
    b1, b2, epsilon = h["beta_1"], h["beta_2"], h["epsilon"]

    def left_2(count: Any) -> Any:
        t = jnp.asarray(count + 1, jnp.result_type(float))
        return jnp.sqrt(1 - jnp.power(jnp.asarray(b2, t.dtype), t))

    if h["epsilon_mode"] == "corrected":
        if h["amsgrad"] and h["amsgrad_max_of"] == "raw":
            raise error("jax-optimizer", where="amsgrad", found="a maximum of raw v, which stock optax does not have")
        return _adam(h, rate), {}, _SAME
    if not h["amsgrad"]:
        adam = optax.inject_hyperparams(optax.adam)(
            learning_rate=rate, b1=b1, b2=b2, eps=lambda count: epsilon / left_2(count)
        )
        return adam, {}, Transfer(REPARAMETRISED, "eps = epsilon / sqrt(1 - beta_2^t), a schedule of eps")
    if h["amsgrad_max_of"] == "corrected":
        raise error("jax-optimizer", where="amsgrad", found="a maximum of corrected v with an uncorrected epsilon")
    raw = optax.scale_by_amsgrad(b1, b2, epsilon, bias_correction_nu=False)
    rates = LAST_RATE(lambda count: (rate(count) if callable(rate) else rate) * left_2(count))
    return optax.chain(raw, rates), {}, Transfer(REPARAMETRISED, "rate = learning_rate sqrt(1 - beta_2^t)")
