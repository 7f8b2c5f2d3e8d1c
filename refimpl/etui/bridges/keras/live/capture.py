"""A live model as a neutral one (SPEC.md, annex I): nothing is copied before it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from etui import dtypes, paths
from etui.bridges.keras.archive import ASSETS
from etui.bridges.keras.assets import read_assets
from etui.bridges.keras.content import Content
from etui.bridges.keras.layout import Place, places
from etui.bridges.keras.live.config import layer_node, model_node
from etui.bridges.keras.live.framework import Elements, Framework
from etui.bridges.keras.live.tree import Held, LiveTree
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.modules import join
from etui.bridges.keras.names import FreeNames
from etui.bridges.keras.patches import Json
from etui.bridges.keras.variables import dataset_names
from etui.containers.optimizer import Optimizer
from etui.containers.state import Rng, State
from etui.containers.tensors import Tensor
from etui.model import Blob, Model
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
        model: the neutral one; its tensors read the live variables when they are asked for.
        tree: the objects of the live model.
        content: the same in the layout of a `.keras` file.
        places: each module that can hold variables, in their order.
        variables: path -> live variable; a path whose array the framework computes is not there.
        datasets: path -> name in the layout.
        report: what the neutral model does not hold as the live one has it.
    """

    model: Model
    tree: LiveTree
    content: Content
    places: list[Place]
    variables: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    @property
    def framework(self) -> Framework:
        """Of the live model."""
        return self.tree.framework

    def objects(self) -> Iterator[tuple[Place, Held]]:
        """Each module with the live object that it stands for."""
        held = self.tree.by_group()
        for place in self.places:
            if place.group in held:
                yield place, held[place.group]


def capture(framework: Framework, model: Any, *, need_config: bool = True) -> Captured:
    """The neutral model of a live one.

    Args:
        framework: of the model.
        model: the live model.
        need_config: whether a model without a config is refused, and not taken as a tree of variables.

    Raises:
        TransferError: ``live-config``.
    """
    node = model_node(framework, model, need_config=need_config)
    tree = LiveTree.of(framework, model)
    metadata = {"keras_version": framework.version, "date_saved": _METADATA_DATE}
    held = tree.by_group()

    def implied(group: str) -> tuple[str, Json] | None:
        if group not in held:
            return None
        owner = held.get(group.rpartition("/layers/")[0]) if "layers/" in group else None
        name = "" if owner is None else _attribute_of(owner.thing, held[group].thing)
        return name, layer_node(framework, held[group].thing)

    content = Content(node, framework.dialect, tree.groups(), tree.datasets(), metadata, _trained(tree), implied)
    report = Report()
    neutral = read_model(content, report, _DOCUMENT)
    assert neutral.config is not None  # noqa: S101  read_model gives one
    captured = Captured(neutral, tree, content, places(neutral.config), report=report)
    _find_variables(captured)
    _share(captured)
    _adapters(captured)
    _flags(captured)
    _compiled_flags(captured)
    _hidden_slots(captured)
    _state(captured)
    neutral.assets = _assets(captured)
    return captured


def _attribute_of(owner: Any, thing: Any) -> str:
    """The attribute under which an object holds another, with its place in a list; nothing if it is held otherwise."""
    # Layers of the torch backend are modules of torch, which keep those that they hold in a map of their own.
    own = {**vars(owner).get("_modules", {}), **vars(owner)}
    for name, value in own.items():
        if value is thing:
            return str(name).lstrip("_")
    for name, value in own.items():
        if not name.startswith("_") and isinstance(value, list | tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if item is thing:
                    return f"{name}_{key}"
    return ""


def _trained(tree: LiveTree) -> dict[str, list[str]]:
    """The variables of the optimizer by their names in the layout, if the layout has them all."""
    optimizer = tree.framework.optimizer(tree.model)
    listed = tree.framework.trained(tree.model) if optimizer is not None else None
    if listed is None:
        return {}
    names: dict[int, str] = {}
    for name, variable in tree.entries().items():
        names.setdefault(id(variable), name)
    found = [names.get(id(variable), "") for variable in listed]
    parts = {id(optimizer), id(getattr(optimizer, "inner_optimizer", optimizer))}
    groups = [one.group for one in tree.held if id(one.thing) in parts]
    return dict.fromkeys(groups, found) if all(found) else {}


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
        if weights is None or not getattr(held.thing, "lora_enabled", False):
            continue
        for role, path in place.module.params.items():
            raw = _attribute(captured.framework, held.thing, role)
            if raw is not None and path in weights.variables:
                captured.variables[path] = raw
                weights.variables[path].tensor = tensor_of(captured.framework, raw)


def _attribute(framework: Framework, thing: Any, role: str) -> Any:
    own = vars(thing)
    return next((own[name] for name in (f"_{role}", role) if framework.is_variable(own.get(name))), None)


def tensor_of(framework: Framework, variable: Any) -> Tensor:
    """A live variable as a tensor that is read when it is asked for, or now if its dtype needs an encoding."""
    dtype = framework.dtype(variable)
    if dtypes.by_name(dtype, "").safetensors is None:
        return Tensor.of(framework.numpy(variable))
    shape = tuple(int(size) for size in variable.shape)
    return Tensor.lazy(
        dtype,
        shape,
        Elements(framework, variable),
        view=partial(framework.view, variable),
        constant=framework.constant,
    )


def _flags(captured: Captured) -> None:
    trainable = {id(variable) for variable in captured.framework.trainable(captured.tree.model)}
    for path, variable in (captured.model.weights.variables if captured.model.weights else {}).items():
        if path in captured.variables:
            variable.trainable = id(captured.variables[path]) in trainable


def _compiled_flags(captured: Captured) -> None:
    """The flags of layers when the model was compiled, where they are not those of now and training goes by them."""
    flags = captured.framework.compiled_flags(captured.tree.model)
    then = {
        place.path: flags[held.thing]
        for place, held in captured.objects()
        if held.thing in flags and flags[held.thing] != held.thing.trainable
    }
    if then and captured.model.training is not None:
        captured.model.training.residue.setdefault("keras", {})[COMPILED_FLAGS] = then


def _hidden_slots(captured: Captured) -> None:
    """State that the framework's optimizer keeps beside its variables."""
    state = captured.model.optimizer
    live = captured.framework.optimizer(captured.tree.model)
    if state is None or OPTIMIZER not in state.optimizers:
        return
    for name in captured.framework.lost_slots(live):
        detail = "tf_keras counts it while it traces functions, so that no two runs have the same"
        captured.report.add("slot", f"{OPTIMIZER}/{name}", "reset", detail)
    found = captured.framework.hidden_slots(live)
    if found:
        facts = state.optimizers[OPTIMIZER].residue.setdefault("keras", {})
        facts[HIDDEN_SLOTS] = {name: tensor_of(captured.framework, one) for name, one in found.items()}
        for name in found:
            captured.report.add("slot", f"{OPTIMIZER}/{name}", "data-only", "state that only the framework itself has")


def _state(captured: Captured) -> None:
    """Generators and metrics, which the framework's own formats lose."""
    framework = captured.framework
    state = captured.model.state or State()
    for place, held in captured.objects():
        for name, (algorithm, variable) in framework.seeds(held.thing).items():
            path = join(place.path, paths.escape_segment(name))
            state.rng[path] = Rng(algorithm, tensor_of(framework, variable))
        for name, detail in framework.hidden_seeds(held.thing).items():
            captured.report.add("state", f"rng/{join(place.path, name)}", "reset", detail)
    if framework.dialect == "keras":
        for name, metric in named_metrics(framework, captured.tree.model):
            state.metrics[name] = {key: tensor_of(framework, one) for key, one in named_variables(metric)}
    kinds = framework.kinds(framework.metrics(captured.tree.model))
    if kinds and captured.model.training is not None:
        captured.model.training.residue.setdefault("keras", {})[METRIC_KINDS] = kinds
    if state.rng or state.metrics:
        captured.model.state = state


def named_metrics(framework: Framework, model: Any) -> list[tuple[str, Any]]:
    """The metrics of a model that hold state, by names of their own."""
    names = FreeNames()
    return [(names.take(paths.escape_segment(str(metric.name))), metric) for metric in framework.metrics(model)]


def named_variables(metric: Any) -> list[tuple[str, Any]]:
    """The state of a metric by names of their own."""
    names = FreeNames()
    return [(names.take(str(one.name).partition(":")[0].rpartition("/")[2]), one) for one in metric.variables]


def _assets(captured: Captured) -> dict[str, Blob]:
    """The files that layers keep, by part name."""
    members: dict[str, Blob] = {}
    for held in captured.tree.held:
        if not hasattr(held.thing, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            held.thing.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    name = join(held.group, file.relative_to(folder).as_posix())
                    members[ASSETS + name] = Blob.of(file.read_bytes())
    config = captured.model.config
    return read_assets(config, members, captured.report) if config is not None and members else {}
