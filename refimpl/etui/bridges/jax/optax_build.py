"""A whole optimizer of the core vocabulary as one optax transformation (SPEC.md annex N.3).

The order within a step is that of annex K.4: unscale, accumulate, clip, decay, update, average, constrain, count.
Groups of variables with hyperparameters of their own become a partition; variables that the optimizer does not have
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import optax

from etui.bridges.jax import optax_rules, wrappers
from etui.bridges.jax.schedules import rate_of
from etui.bridges.jax.transforms import Rate
from etui.bridges.jax.trees import KeyPath, Tree
from etui.containers.optimizer import Group, Optimizer
from etui.core import parameters, vocabulary
from etui.errors import error, shown
from etui.transfer import EXACT, Transfer

Project = Callable[[Mapping[str, Any]], Mapping[str, Any]]
FROZEN, UPDATED = "frozen", "updated"
MUON, ADAM = "muon", "adam"
_OF_ALL = frozenset(
    {
        "accumulation_steps",
        "clip_epsilon",
        "clip_global_norm",
        "clip_norm",
        "clip_value",
        "ema_momentum",
        "ema_overwrite_frequency",
        "ema_start",
        "loss_scale",
        "maximize",
    }
)
"""Hyperparameters that a group cannot have for itself."""


@dataclass(slots=True)
class Built:
    """A transformation and what it is.

    Attributes:
        transformation: of optax.
        description: the optimizer of the core vocabulary whose state its state is; slots and counters are the source's.
        transfer: how faithful it is.
        stock: hyperparameters that are others than the source's, because optax's own transformations are used.
    """

    transformation: optax.GradientTransformation
    description: Optimizer
    transfer: Transfer = field(default_factory=lambda: Transfer(EXACT))
    stock: dict[str, Any] = field(default_factory=dict)


def algorithm_of(optimizer: Optimizer) -> str:
    """The name of a core algorithm without its namespace.

    Raises:
        TransferError: ``jax-optimizer``, it is none of the vocabulary.
    """
    name = optimizer.algorithm.removeprefix(vocabulary.NAMESPACE)
    if not vocabulary.defines(optimizer.algorithm, "algorithm"):
        raise error("jax-optimizer", where="algorithm", found=shown(optimizer.algorithm))
    return name


def hyperparameters_of(optimizer: Optimizer, group: Group | None = None) -> dict[str, Any]:
    """All hyperparameters, with defaults and those of a group; the rate in force takes the place of the configured one.

    Raises:
        InvalidError: ``core-optimizer``, one that the vocabulary does not have.
    """
    found = parameters.hyperparameters(optimizer, group)
    if optimizer.learning_rate is not None and (group is None or "learning_rate" not in group.hyperparameters):
        found["learning_rate"] = optimizer.learning_rate
    return found


def build(
    optimizer: Optimizer, names: Mapping[KeyPath, str], *, project: Project | None = None, stock: bool = False
) -> Built:
    """The transformation of an optimizer.

    Args:
        optimizer: of the core vocabulary; its counters say where a schedule stands.
        names: key path of each parameter -> path of its variable.
        project: the constraints, from variables by path to the same; a part of the step.
        stock: use optax's own update rules alone.

    Raises:
        TransferError: ``jax-optimizer``, what cannot be expressed.
    """
    if vocabulary.optimizers()[algorithm_of(optimizer)].wraps:
        return _scaled(optimizer, names, project, stock)
    made = _Builder(optimizer, names, stock)
    chain = made.chain(project)
    own = set(optimizer.variables())
    labels = {path: UPDATED if not own or path in own else FROZEN for path in names.values()}
    if FROZEN in labels.values():
        chain = optax.partition({UPDATED: chain, FROZEN: optax.set_to_zero()}, _labels(names, labels))
    description = replace(optimizer, hyperparameters={**optimizer.hyperparameters, **made.changed})
    return Built(chain, description, made.transfer, made.changed)


def _scaled(optimizer: Optimizer, names: Mapping[KeyPath, str], project: Project | None, stock: bool) -> Built:
    """A loss scaler and what it wraps."""
    if optimizer.inner is None:
        raise error("jax-optimizer", where=optimizer.algorithm, found="a wrapper without what it wraps")
    h = hyperparameters_of(optimizer)
    inner = build(optimizer.inner, names, project=project, stock=stock)
    if h.pop("count_skipped", False):
        raise error("jax-optimizer", where="count_skipped", found="skipped steps that count")
    if not h.pop("dynamic", True):
        chain = optax.chain(wrappers.unscale(h["initial_scale"]), inner.transformation)
    else:
        chain = wrappers.loss_scaled(inner.transformation, **_known(wrappers.loss_scaled, h))
    return replace(inner, transformation=chain, description=replace(optimizer, inner=inner.description))


def _known(function: Callable[..., Any], h: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in h.items() if name in (function.__kwdefaults__ or {})}


def _labels(names: Mapping[KeyPath, str], labels: Mapping[str, str]) -> Callable[[Tree], Tree]:
    """A function from a tree of parameters to the tree of their labels."""

    def of(tree: Tree) -> Tree:
        return jax.tree_util.tree_map_with_path(lambda keys, _: labels[names[keys]], tree)

    return of


@dataclass(slots=True)
class _Builder:
    """Makes the stages of one optimizer, and keeps what stock rules change."""

    optimizer: Optimizer
    names: Mapping[KeyPath, str]
    stock: bool
    changed: dict[str, Any] = field(default_factory=dict)
    transfer: Transfer = field(default_factory=lambda: Transfer(EXACT))

    def chain(self, project: Project | None) -> optax.GradientTransformation:
        h = hyperparameters_of(self.optimizer)
        steps = int(h["accumulation_steps"])
        stages = []
        if h["loss_scale"] is not None:
            stages.append(wrappers.unscale(h["loss_scale"]))
        if h["maximize"]:
            stages.append(optax.scale(-1.0))
        inner = self.clipped(h)
        stages.append(wrappers.accumulated(inner, steps) if steps > 1 else inner)
        if h["ema_momentum"] is not None:
            every, start = h["ema_overwrite_frequency"], h["ema_start"]
            momentum = h["ema_momentum"]
            stages.append(wrappers.averaged(momentum, overwrite_every=every, start=start, accumulation_steps=steps))
        if project is not None:
            stages.append(wrappers.constrained(project, self.names))
        return optax.chain(*stages, wrappers.clock(steps))

    def clipped(self, h: Mapping[str, Any]) -> optax.GradientTransformation:
        limits = (h["clip_value"], h["clip_norm"], h["clip_global_norm"])
        if all(limit is None for limit in limits):
            return self.groups()
        value, norm, whole = limits
        return optax.chain(
            wrappers.clip(value=value, norm=norm, global_norm=whole, epsilon=h["clip_epsilon"]), self.groups()
        )

    def groups(self) -> optax.GradientTransformation:
        """The rules of all groups."""
        groups = [group for group in self.optimizer.groups if group.variables]
        if not any(group.hyperparameters for group in groups):
            return self.parts(hyperparameters_of(self.optimizer), scheduled=True)
        labels: dict[str, str] = {}
        rules: dict[str, Any] = {}
        for index, group in enumerate(groups):
            for name in group.hyperparameters:
                if name in _OF_ALL:
                    raise error("jax-optimizer", where=f"groups/{index}", found=f"{name} of one group alone")
            scheduled = "learning_rate" not in group.hyperparameters
            rules[f"group_{index}"] = self.parts(hyperparameters_of(self.optimizer, group), scheduled=scheduled)
            labels |= dict.fromkeys(group.variables, f"group_{index}")
        return optax.partition(rules, _labels(self.names, labels | dict.fromkeys(self._others(labels), FROZEN)))

    def _others(self, labels: Mapping[str, str]) -> list[str]:
        return [path for path in self.names.values() if path not in labels]

    def parts(self, h: dict[str, Any], *, scheduled: bool) -> optax.GradientTransformation:
        """The rule with its decay; Muon's two."""
        rate = rate_of(self.optimizer, h) if scheduled else float(h["learning_rate"])
        algorithm = algorithm_of(self.optimizer)
        if algorithm != "muon":
            return self.decayed(algorithm, h, rate, rate, h["weight_decay"])
        ratio = h["adam_rate_ratio"]
        slower = (lambda count: rate(count) * ratio) if callable(rate) else rate * ratio
        adam = vocabulary.filled(vocabulary.optimizers()["adam"].hyperparameters, {})
        adam |= {"beta_1": h["adam_beta_1"], "beta_2": h["adam_beta_2"], "epsilon": h["epsilon"]}
        adam |= {name: h[name] for name in ("decay_mode", "decay_excluded")}
        chosen = set(h["adam_variables"])
        rules = {
            MUON: self.decayed("muon", h, rate, rate, h["weight_decay"]),
            ADAM: self.decayed("adam", adam, slower, rate, h["adam_weight_decay"]),
        }

        def label(keys: KeyPath, leaf: Any) -> str:
            return ADAM if leaf.ndim != 2 or self.names[keys] in chosen else MUON

        return optax.partition(rules, lambda tree: jax.tree_util.tree_map_with_path(label, tree))

    def decayed(
        self, algorithm: str, h: dict[str, Any], rate: Rate, decay_rate: Rate, decay: float
    ) -> optax.GradientTransformation:
        if self.stock:
            rule, changed, transfer = optax_rules.stock_rule(algorithm, h, rate)
            self.changed |= changed
            self.transfer = transfer
        else:
            rule = optax_rules.rule(algorithm, h, rate)
        if not decay:
            return rule
        excluded = set(h["decay_excluded"])

        def kept(tree: Tree) -> Tree:
            return jax.tree_util.tree_map_with_path(lambda keys, _: self.names[keys] not in excluded, tree)

        if h["decay_mode"] == "coupled":
            return optax.chain(optax.add_decayed_weights(decay, kept), rule)
        return wrappers.decayed(rule, decay_rate, decay, kept)
