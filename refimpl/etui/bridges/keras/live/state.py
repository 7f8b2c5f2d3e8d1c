"""Random streams, metrics and flags of a neutral model into a live one (SPEC.md, annex I)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui import paths
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.live.capture import COMPILED_FLAGS, METRIC_KINDS, Captured
from etui.bridges.keras.live.look import named_metrics, named_variables
from etui.bridges.keras.live.restore import Plan
from etui.bridges.keras.modules import join
from etui.containers.config import Config
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights

_METRICS = "metrics"


def plan_state(plan: Plan, target: Captured, state: State | None) -> None:
    """Plan the random streams and the metrics.

    Args:
        plan: gets the assignments and the account.
        target: the live model.
        state: the neutral state; a source without one leaves both as they are.
    """
    rng = {} if state is None else dict(state.rng)
    for place, held in target.objects():
        hidden = plan.framework.hidden_seeds(held.thing)
        for name, (algorithm, variable) in plan.framework.seeds(held.thing).items():
            path = join(place.path, paths.escape_segment(name))
            found = rng.pop(path, None)
            if name in hidden:
                continue
            if found is None:
                plan.report.add("state", f"rng/{path}", "reset", "the source does not hold it")
            elif found.algorithm != algorithm:
                detail = f"{found.algorithm} in the file, {algorithm} in the model"
                plan.report.add("state", f"rng/{path}", "reset", detail)
            elif plan.fits("state", f"rng/{path}", variable, found.state):
                plan.put(variable, found.state)
        for name, detail in hidden.items():
            plan.report.add("state", f"rng/{join(place.path, name)}", "reset", detail)
    for path in rng:
        plan.report.add("state", f"rng/{path}", "reset", "no layer of the model has it")


def plan_metrics(plan: Plan, target: Captured, state: State | None, training: Training | None) -> None:
    """Plan the state of the metrics, which the model makes for it if they are those that the source has.

    A source without a training document does not say which ones they are: then the model's own are taken by name.
    """
    if state is None or not state.metrics:
        return
    framework, model = plan.framework, target.tree.model
    kinds = None if training is None else training.residue.get("keras", {}).get(METRIC_KINDS)
    if isinstance(kinds, list) and not framework.build_metrics(model, [str(kind) for kind in kinds]):
        for name in state.metrics:
            detail = "the model makes its metrics at the first batch, and other ones than the source has"
            plan.report.add("state", f"{_METRICS}/{name}", "reset", detail)
        return
    live = _live_metrics(target)
    for name, stored in state.metrics.items():
        for key, tensor in stored.items():
            subject = f"{_METRICS}/{name}/{key}"
            variable = live.get(name, {}).get(key)
            if variable is None or not isinstance(tensor, Tensor):
                plan.report.add("state", subject, "reset", "no metric of the model has it")
            elif plan.fits("state", subject, variable, tensor):
                plan.put(variable, tensor)


def _live_metrics(target: Captured) -> dict[str, dict[str, Any]]:
    """The variables of the live metrics, by the names that the neutral state has for them."""
    framework = target.framework
    if framework.dialect == "keras":
        return {name: dict(named_variables(metric)) for name, metric in named_metrics(framework, target.tree.model)}
    # tf_keras has a group for each.
    fresh = type(target.tree).of(framework, target.tree.model)
    found: dict[str, dict[str, Any]] = {}
    for name, variable in fresh.entries().items():
        group, _, key = name.rpartition(f"/{VARS}/")
        if group.startswith(f"{_METRICS}/"):
            found.setdefault(group.removeprefix(f"{_METRICS}/"), {})[key] = variable
    return found


def restore_compiled_flags(target: Captured, training: Training | None) -> None:
    """Have training go by the flags that the layers had when the model was compiled."""
    flags = target.framework.compiled_flags(target.tree.model)
    then = {} if training is None else training.residue.get("keras", {}).get(COMPILED_FLAGS, {})
    for place, held in target.objects():
        if held.thing in flags:
            flag = then.get(place.path, held.thing.trainable)
            flags[held.thing] = bool(flag)


def restore_layer_flags(target: Captured, config: Config) -> None:
    """Set the flag of each layer that the one around it was given another one than: frameworks hand them down."""
    flags = {path: module.attrs.get("trainable") for path, module in config.walk()}
    for place, held in target.objects():
        flag = flags.get(place.path)
        if isinstance(flag, bool) and getattr(held.thing, "trainable", flag) is not flag:
            target.framework.set_layer_trainable(held.thing, flag=flag)


def restore_flags(plan: Plan, model: Any, weights: Weights, variables: Mapping[str, Any]) -> None:
    """Set the flag of each variable whose layer gives it another one than it had."""
    framework = plan.framework
    trainable = {id(variable) for variable in framework.trainable(model)}
    for path, variable in variables.items():
        wanted = weights[path].trainable if path in weights else None
        if wanted is None or wanted == (id(variable) in trainable):
            continue
        done = framework.set_trainable(variable, flag=wanted)
        status = "restored" if done else "not-transferable"
        detail = "" if done else f"{framework.name} has flags of layers alone"
        plan.report.add("flag", path, status, detail)
