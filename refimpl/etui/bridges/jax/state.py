"""Plain trees of parameters with the state of optax, into an artifact and back (SPEC.md annexes N.2 and N.3)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from etui.bridges.jax import optax_build, optax_read, optax_states, optax_write, trees
from etui.bridges.jax.optax_write import MAIN
from etui.bridges.jax.resume import StrPath, main_optimizer, once
from etui.bridges.jax.trees import KeyPath, Names, Tree
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.errors import error
from etui.model import Model
from etui.report import Report
from etui.saving import save as save_artifact
from etui.transfer import EXACT, Transfer


def save_tree(tree: Tree, path: StrPath, *, shard_size: int | None, **what: Any) -> str:
    """Save a tree; see `etui.jax.save_tree`. The rest is as `captured` takes it."""
    return save_artifact(captured(tree, os.fspath(path), **what), path, shard_size=shard_size)


def captured(
    tree: Tree,
    target: str,
    *,
    opt_state: Any,
    optimizer: Optimizer | None,
    optimized: str,
    step: int | None,
    counters: Mapping[str, int] | None,
    user: Mapping[str, Any] | None,
    trainable: Callable[[str, Any], bool] | None,
    report: Report,
) -> Model:
    """The model that a save writes, see `etui.jax.capture_tree`; `target` is where it goes, for the report."""
    report.source, report.target = report.source or "jax", target
    model = trees.to_model(tree, report, trainable=trainable)
    if opt_state is not None:
        names = subtree(trees.paths_of(tree), optimized)
        made = optax_read.optimizer_of(opt_state, names, report, description=optimizer, step=step)
        model.optimizer = OptimizerState({MAIN: made})
    if counters or user:
        model.state = model.state or State()
        model.state.counters, model.state.user = dict(counters or {}), dict(user or {})
    if opt_state is not None and model.state is None:
        model.state = State()
    return model


def subtree(names: Mapping[KeyPath, str], prefix: str) -> dict[KeyPath, str]:
    """The paths of the leaves below a path, by their key paths there.

    Raises:
        UsageError: ``jax-argument``, there is none.
    """
    if not prefix:
        return dict(names)
    depth = prefix.count("/") + 1
    found = {keys[depth:]: path for keys, path in names.items() if path.startswith(f"{prefix}/") or path == prefix}
    if not found:
        raise error("jax-argument", found=f"optimized={prefix!r}, below which there is no leaf")
    return found


def load_tree(path: StrPath | Model, like: Tree, names: Names, *, cast: bool, strict: bool, report: Report) -> Tree:
    """Load a tree; see `etui.jax.load_tree`."""

    def of(model: Model) -> Tree:
        if model.optimizer is not None:
            report.add("optimizer", MAIN, "left-out", "`load_optimizer` and `load_opt_state` load it")
        if like is None:
            return trees.nested(model, report)
        return trees.restored(model, like, report, names=names, cast=cast)

    tree = opened(path, of, report)
    if strict:
        report.require_complete()
    return tree


def opened(path: Any, use: Callable[[Model], Any], report: Report) -> Any:
    """What a function gives for a model, a step of a series, or what is at a path, which is open for that long."""
    if isinstance(path, Model):
        return use(path)
    if not isinstance(path, str | os.PathLike):
        report.source, report.target = str(path), "jax"
        with path.open() as model:
            return use(model)
    from etui.conversion import read

    report.source, report.target = os.fspath(path), "jax"
    model, _ = read(path, report=report, native=False)
    with model:
        return use(model)


def stored_optimizer(model: Model, report: Report) -> Optimizer:
    """The optimizer of a model, in the core vocabulary where that has it.

    Raises:
        TransferError: ``jax-optimizer``, there is none, or several.
    """
    found = main_optimizer(model)
    if found is None:
        raise error("jax-optimizer", found="a model without an optimizer")
    if found.algorithm.startswith(("core:", "optax:")):
        return found
    from etui.translation import to_core

    translated = main_optimizer(to_core(replace(model, config=None, training=None), report))
    assert translated is not None  # noqa: S101  a translation keeps it
    return translated


def _variables(params: Tree, optimized: str, names: Names) -> dict[KeyPath, str]:
    """Stored path of each parameter."""
    start = f"{optimized}/" if optimized else ""
    return {keys: trees.renamed(start + path, names) for keys, path in trees.paths_of(params).items()}


def load_optimizer(
    path: StrPath | Model,
    params: Tree,
    *,
    names: Names,
    optimized: str,
    stock: bool,
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> tuple[Any, Any]:
    """A transformation and its state; see `etui.jax.load_optimizer`."""

    def of(model: Model) -> tuple[Any, Any]:
        source, variables = stored_optimizer(model, report), _variables(params, optimized, names)
        built = optax_build.build(source, variables, stock=stock)
        return built.transformation, optax_write.state_of(built, source, params, variables, report)

    found: tuple[Any, Any] = opened(path, of, report)
    report.entries = once(report.entries)
    if strict:
        report.require_complete(allow)
    return found


def load_opt_state(
    path: StrPath | Model,
    params: Tree,
    opt_state: Any,
    *,
    hyperparameters: Mapping[str, Any] | None,
    names: Names,
    optimized: str,
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> Any:
    """The stored state in the structure of the caller's own; see `etui.jax.load_opt_state`."""

    def of(model: Model) -> Any:
        source, variables = stored_optimizer(model, report), _variables(params, optimized, names)
        own = dict(hyperparameters or {})
        detail = "the rule and its hyperparameters are those of the caller's transformation"
        report.add("optimizer", MAIN, "translated", detail, Transfer(EXACT))
        missing = {place.variable for place in optax_states.places(opt_state, variables) if place.variable}
        _check_names(missing, source, report)
        return optax_write.filled(source, opt_state, variables, report, own)

    state = opened(path, of, report)
    report.entries = once(report.entries)
    if strict:
        report.require_complete(allow)
    return state


def _check_names(own: set[str], source: Optimizer, report: Report) -> None:
    """Say so where the caller's parameters and the stored optimizer have not one variable in common."""
    stored = {path for level in optax_write.levels(source) for path in (*level.slots, *level.fresh)}
    if own and stored and not own & stored:
        report.add("optimizer", MAIN, "missing", "none of its variables is among the parameters")
