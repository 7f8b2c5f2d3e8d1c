"""A live model as a neutral one (SPEC.md, annex I): nothing is copied before it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui import paths
from etui.bridges.keras.assets import read_assets
from etui.bridges.keras.content import Content
from etui.bridges.keras.layout import Place, places
from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.live.look import Look, look
from etui.bridges.keras.live.tree import Held, LiveTree
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.modules import join
from etui.bridges.keras.variables import dataset_names
from etui.containers.optimizer import Optimizer
from etui.containers.state import Rng, State
from etui.garbage import no_garbage
from etui.model import Model
from etui.report import Report

OPTIMIZER = "optimizer"
# Names of facts that only the framework itself needs, in the residue of training and optimizer.
COMPILED_FLAGS, METRIC_KINDS, HIDDEN_SLOTS = "compiled_trainable", "metric_kinds", "hidden_slots"
_METADATA_DATE = "1980-01-01@00:00:00"
_DOCUMENT = "live config"


@dataclass(slots=True)
class Captured:
    """A live model and the neutral one that stands for it.

    Attributes:
        model: the neutral one; its tensors read the live variables when they are asked for, or hold copies.
        seen: the live model, as it was looked at.
        content: the same in the layout of a `.keras` file.
        places: each module that can hold variables, in their order.
        variables: path -> live variable; a path whose array the framework computes is not there.
        datasets: path -> name in the layout.
        report: what the neutral model does not hold as the live one has it.
    """

    model: Model
    seen: Look
    content: Content
    places: list[Place]
    variables: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    @property
    def tree(self) -> LiveTree:
        """The objects of the live model."""
        return self.seen.tree

    @property
    def framework(self) -> Framework:
        """Of the live model."""
        return self.tree.framework

    def objects(self) -> Iterator[tuple[Place, Held]]:
        """Each module with the live object that it stands for."""
        for place in self.places:
            if place.group in self.seen.by_group:
                yield place, self.seen.by_group[place.group]


@no_garbage()
def capture(framework: Framework, model: Any, *, need_config: bool = True) -> Captured:
    """The neutral model of a live one.

    Args:
        framework: of the model.
        model: the live model.
        need_config: whether a model without a config is refused, and not taken as a tree of variables.

    Raises:
        TransferError: ``live-config``.
    """
    return translated(look(framework, model, need_config=need_config))


def translated(seen: Look) -> Captured:
    """The neutral model of what was seen of a live one, which is not looked at again but for `Look.implied`."""
    framework = seen.framework
    metadata = {"keras_version": framework.version, "date_saved": _METADATA_DATE}
    content = Content(seen.node, framework.dialect, seen.groups, seen.datasets(), metadata, seen.trained, seen.implied)
    report = Report()
    neutral = read_model(content, report, _DOCUMENT)
    assert neutral.config is not None  # noqa: S101  read_model gives one
    captured = Captured(neutral, seen, content, places(neutral.config), report=report)
    _find_variables(captured)
    _share(captured)
    _adapters(captured)
    _flags(captured)
    _compiled_flags(captured)
    _hidden_slots(captured)
    _state(captured)
    neutral.assets = read_assets(neutral.config, seen.assets, report) if seen.assets else {}
    return captured


def _find_variables(captured: Captured) -> None:
    entries = captured.tree.entries()
    config, weights = captured.model.config, captured.model.weights
    if config is None or weights is None:
        return
    for _, path, dataset in dataset_names(config, weights):
        captured.datasets[path] = dataset
        if captured.framework.is_variable(entries.get(dataset)):
            captured.variables[path] = entries[dataset]


def _share(captured: Captured) -> None:
    """A variable that two layers have is one: its second path becomes an alias."""
    weights = captured.model.weights
    if weights is None:
        return
    order = {dataset: at for at, dataset in enumerate(captured.tree.entries())}
    owners: dict[int, str] = {}
    for path in sorted(captured.variables, key=lambda path: order[captured.datasets[path]]):
        owner = owners.setdefault(id(captured.variables[path]), path)
        if owner != path and path in weights.variables:
            del weights.variables[path]
            weights.aliases[path] = owner
            captured.report.add("variable", path, "aliased", f"is {owner}")
    if captured.model.optimizer is not None:
        for _, optimizer in captured.model.optimizer.walk():
            _resolve(optimizer, weights.aliases)


def _resolve(optimizer: Optimizer, aliases: Mapping[str, str]) -> None:
    for group in optimizer.groups:
        group.variables = list(dict.fromkeys(aliases.get(path, path) for path in group.variables))
    optimizer.fresh = list(dict.fromkeys(aliases.get(path, path) for path in optimizer.fresh))


def _adapters(captured: Captured) -> None:
    """The framework saves a low-rank adapter merged; a live model has it apart."""
    weights = captured.model.weights
    for place, held in captured.objects():
        adapted = captured.seen.facts_of(held.group).adapted
        if weights is None or not adapted:
            continue
        for role, path in place.module.params.items():
            raw = next((adapted[name] for name in (f"_{role}", role) if name in adapted), None)
            if raw is not None and path in weights.variables:
                captured.variables[path] = raw
                weights.variables[path].tensor = captured.seen.tensor(raw)


def _flags(captured: Captured) -> None:
    trainable = captured.seen.trainable
    for path, variable in (captured.model.weights.variables if captured.model.weights else {}).items():
        if path in captured.variables:
            variable.trainable = id(captured.variables[path]) in trainable


def _compiled_flags(captured: Captured) -> None:
    """The flags of layers when the model was compiled, where they are not those of now and training goes by them."""
    flags = {place.path: captured.seen.facts_of(held.group).compiled_flag for place, held in captured.objects()}
    then = {path: flag for path, flag in flags.items() if flag is not None}
    if then and captured.model.training is not None:
        captured.model.training.residue.setdefault("keras", {})[COMPILED_FLAGS] = then


def _hidden_slots(captured: Captured) -> None:
    """State that the framework's optimizer keeps beside its variables."""
    state, seen = captured.model.optimizer, captured.seen
    if state is None or OPTIMIZER not in state.optimizers:
        return
    for name in seen.lost_slots:
        detail = "tf_keras counts it while it traces functions, so that no two runs have the same"
        captured.report.add("slot", f"{OPTIMIZER}/{name}", "reset", detail)
    if seen.hidden_slots:
        facts = state.optimizers[OPTIMIZER].residue.setdefault("keras", {})
        facts[HIDDEN_SLOTS] = {name: seen.tensor(one) for name, one in seen.hidden_slots.items()}
        for name in seen.hidden_slots:
            captured.report.add("slot", f"{OPTIMIZER}/{name}", "data-only", "state that only the framework itself has")


def _state(captured: Captured) -> None:
    """Generators and metrics, which the framework's own formats lose."""
    seen = captured.seen
    state = captured.model.state or State()
    for place, held in captured.objects():
        facts = seen.facts_of(held.group)
        for name, (algorithm, variable) in facts.seeds.items():
            state.rng[join(place.path, paths.escape_segment(name))] = Rng(algorithm, seen.tensor(variable))
        for name, detail in facts.hidden_seeds.items():
            captured.report.add("state", f"rng/{join(place.path, name)}", "reset", detail)
    for name, own in seen.metrics.items():
        state.metrics[name] = {key: seen.tensor(one) for key, one in own.items()}
    if seen.kinds and captured.model.training is not None:
        captured.model.training.residue.setdefault("keras", {})[METRIC_KINDS] = seen.kinds
    if state.rng or state.metrics:
        captured.model.state = state
