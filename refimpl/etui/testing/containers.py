"""Hypothesis strategies for containers: valid ones, whose references lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

from hypothesis import assume
from hypothesis import strategies as st

from etui import paths
from etui.canonical import values as v
from etui.containers import optimizer, state
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import Rng, State
from etui.containers.tensors import Tensor
from etui.containers.training import PRECISION_FIELDS, Training
from etui.containers.weights import Variable, Weights
from etui.errors import RejectError
from etui.testing import values
from etui.testing.tensors import tensors

Strategy = st.SearchStrategy

_ROLES = st.sampled_from(["kernel", "bias", "gamma", "moving_mean", "embeddings", "Rolle %"])
_OPS = st.sampled_from(["keras:Dense", "keras:ops.numpy.Add", "torch:nn.Linear", "custom:mine>Schicht"])
_STEPS = st.sampled_from([0, 1, 2**53, 2**64 - 1]) | st.integers(0, 10**6)

# Made once: Hypothesis takes longer to make and check a strategy than to draw from it.
_VALUES = values.values(4)
_MAPS = st.dictionaries(values.keys(), _VALUES, max_size=2)
_RESIDUES = st.dictionaries(st.sampled_from(["keras", "torch", "tf_1"]), _MAPS, max_size=2)
_TENSORS = tensors()
_SEGMENTS = values.segments()
_PATHS = values.paths()
_TEXTS = values.TEXTS.filter(bool)
_SIBLINGS = st.lists(_SEGMENTS, max_size=3, unique_by=lambda name: normalize("NFC", name))
_SLOTS = st.dictionaries(_SEGMENTS | _TEXTS, _TENSORS, min_size=1, max_size=2)
_COUNTERS = st.dictionaries(values.keys(), _STEPS, max_size=3)
_GENERATORS = st.dictionaries(_PATHS, st.builds(Rng, _OPS, _TENSORS), max_size=2)
_COLLECTIONS = st.sampled_from([list, tuple, dict, "map"])


@dataclass(frozen=True)
class Names:
    """What values may refer to.

    Attributes:
        variables, modules, assets: their names.
        tensors: whether values may hold tensors of their own.
    """

    variables: Sequence[str] = ()
    modules: Sequence[str] = ()
    assets: Sequence[str] = ()
    tensors: bool = False


def different_paths(min_size: int = 0, max_size: int = 5) -> Strategy[list[str]]:
    """Paths of one index: different ones, also after normalization (D-4)."""
    return st.lists(_PATHS, min_size=min_size, max_size=max_size, unique_by=lambda path: normalize("NFC", path))


@st.composite
def values_naming(draw: st.DrawFn, names: Names) -> Any:
    """Values of every type, whose references lead to what `names` allows; others become `None`."""
    return _resolved(draw, draw(_VALUES), names)


@st.composite
def maps_naming(draw: st.DrawFn, names: Names) -> dict[str, Any]:
    """Maps with string keys of such values."""
    found: dict[str, Any] = _resolved(draw, draw(_MAPS), names)
    return found


@st.composite
def residues(draw: st.DrawFn, names: Names) -> dict[str, Any]:
    """What stands under `residue`."""
    found: dict[str, Any] = _resolved(draw, draw(_RESIDUES), names)
    return found


def _resolved(draw: st.DrawFn, value: Any, names: Names) -> Any:
    def inner(item: Any) -> Any:
        return _resolved(draw, item, names)

    if isinstance(value, v.VariableRef):
        return v.VariableRef(draw(st.sampled_from(names.variables))) if names.variables else None
    if isinstance(value, v.ModuleRef):
        return v.ModuleRef(draw(st.sampled_from(names.modules))) if names.modules else None
    if isinstance(value, v.AssetRef):
        return v.AssetRef(draw(st.sampled_from(names.assets))) if names.assets else None
    if isinstance(value, v.StoredTensor):
        return draw(_TENSORS) if names.tensors else None
    if isinstance(value, v.OutputRef):
        return None
    if isinstance(value, list | tuple):
        return type(value)(map(inner, value))
    if isinstance(value, slice):
        return slice(*map(_without_tensors, map(inner, (value.start, value.stop, value.step))))
    if isinstance(value, v.ObjectValue):
        return replace(value, config=inner(value.config), residue=inner(value.residue))
    if isinstance(value, dict | v.MapValue):
        pairs = value.pairs if isinstance(value, v.MapValue) else value.items()
        # A key that refers to something could become equal to another one.
        return _map([(key, inner(item)) for key, item in pairs if not any(v.references(key))])
    return value


def _without_tensors(value: Any) -> Any:
    """A slice's bound; a tensor in it would have no place to be named after."""
    return None if isinstance(value, list | tuple | dict | v.MapValue | v.ObjectValue | Tensor) else value


def _map(pairs: list[tuple[Any, Any]]) -> Any:
    """The value that holds these pairs: a dict if one can."""
    try:
        value = dict(pairs)
    except TypeError:
        return v.MapValue(tuple(pairs))
    return value if len(value) == len(pairs) else v.MapValue(tuple(pairs))


@st.composite
def weights(draw: st.DrawFn, min_size: int = 0) -> Weights:
    """Variables of every kind in any order, and aliases.

    Args:
        draw: given by Hypothesis.
        min_size: fewest variables.
    """
    names = draw(different_paths(min_size, max_size=7))
    count = draw(st.integers(min(min_size, len(names)), len(names)))
    variables = {name: Variable(draw(_TENSORS), draw(_ROLES), draw(st.booleans())) for name in names[:count]}
    targets = names[:count]
    aliases = {name: draw(st.sampled_from(targets)) for name in names[count:]} if targets else {}
    return Weights(variables, aliases)


@st.composite
def configs(draw: st.DrawFn, names: Names | None = None) -> Config:
    """Trees of modules of every kind, with graphs, nested models, and modules at several places.

    Args:
        draw: given by Hypothesis.
        names: the variables and assets that the config may refer to; the modules are its own.
    """
    names = names or Names()
    root = _module(draw, draw(_SEGMENTS), 2)
    below = [path for path, _ in root.walk() if path]
    _share(draw, root)
    names = replace(names, modules=below)
    for _, module in root.walk():
        if module.kind != "shared":
            _fill(draw, module, names)
    return Config(root)


def _module(draw: st.DrawFn, name: str, levels: int) -> Module:
    """A module with its tree, as yet without content."""
    module = Module(name, draw(st.sampled_from(["layer", "graph", "opaque"])), draw(_OPS))
    if levels:
        module.modules = [_module(draw, child, levels - 1) for child in draw(_SIBLINGS)]
    return module


def _share(draw: st.DrawFn, root: Module) -> None:
    """Turn some leaves into further places of modules before them, none of which holds the leaf."""
    before: list[str] = []
    for path, module in list(root.walk()):
        targets = [target for target in before if not path.startswith(f"{target}/")]
        if path and not module.modules and targets and draw(st.booleans()):
            module.kind, module.op, module.target = "shared", "", draw(st.sampled_from(targets))
        elif path:
            before.append(path)


def _fill(draw: st.DrawFn, module: Module, names: Names) -> None:
    module.attrs = draw(maps_naming(names))
    module.residue = draw(residues(names))
    module.build = draw(values_naming(names))
    if names.variables:
        module.params = draw(st.dictionaries(_ROLES, st.sampled_from(names.variables), max_size=2))
    if module.kind == "graph":
        module.graph = _graph(draw, [child.name for child in module.modules], names)


def _graph(draw: st.DrawFn, modules: list[str], names: Names) -> Graph:
    ids = draw(st.lists(_TEXTS, max_size=4, unique=True)) if modules else []
    calls: list[Call] = []
    for index, name in enumerate(ids):
        args = [_outputs(draw, ids[:index]), draw(values_naming(names))]
        call = Call(name, draw(st.sampled_from(modules)), args[: draw(st.integers(0, 2))], draw(maps_naming(names)))
        if draw(st.booleans()):
            call.kwargs[draw(values.keys())] = _outputs(draw, ids[:index])
        calls.append(call)
    return Graph(_outputs(draw, ids), _outputs(draw, ids), calls)


def _outputs(draw: st.DrawFn, ids: Sequence[str], levels: int = 2) -> Any:
    """A nesting of outputs of calls."""
    if ids and (not levels or draw(st.booleans())):
        return v.OutputRef(draw(st.sampled_from(ids)), draw(st.integers(0, 3)))
    collection: Any = draw(_COLLECTIONS)
    items = [_outputs(draw, ids, levels - 1) for _ in range(draw(st.integers(0, 2)) if levels else 0)]
    if collection == "map":
        return dict(enumerate(items))
    return {f"${index}": item for index, item in enumerate(items)} if collection is dict else collection(items)


def trainings(names: Names | None = None) -> Strategy[Training]:
    """Everything that a model can be trained with.

    Args:
        names: what the values may refer to.
    """
    names = names or Names()
    optional = values_naming(names).map(lambda value: None if _is_empty(value) else value)
    precision = st.builds(
        lambda more, fixed: {**more, **fixed},
        maps_naming(names),
        st.fixed_dictionaries(dict.fromkeys(sorted(PRECISION_FIELDS), values.TEXTS)),
    )
    return st.builds(
        Training,
        loss=optional,
        loss_weights=optional,
        metrics=optional,
        weighted_metrics=optional,
        added_losses=st.lists(values.TEXTS, max_size=2),
        precision=st.just({}) | precision,
        sample_weighting=optional,
        class_weighting=optional,
        options=maps_naming(names),
        residue=residues(names),
    )


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict | list | str) and not value


@st.composite
def optimizer_states(draw: st.DrawFn, names: Names | None = None) -> OptimizerState:
    """Optimizers with groups, slots, fresh variables, shared slots, wrapped optimizers and residue.

    Args:
        draw: given by Hypothesis.
        names: the variables to optimize, and what the values may refer to.
    """
    names = replace(names or Names(variables=("dense/kernel", "dense/bias")), tensors=True)
    found = OptimizerState(draw(st.dictionaries(_PATHS, _optimizers(names, 2), min_size=1, max_size=2)))
    assume(_have_names(optimizer.tensors(found)))
    return found


@st.composite
def _optimizers(draw: st.DrawFn, names: Names, levels: int) -> Optimizer:
    variables = draw(st.permutations(names.variables)) if names.variables else []
    bounds = sorted(draw(st.lists(st.integers(0, len(variables)), max_size=3)))
    spans = zip([0, *bounds], bounds, strict=False)
    groups = [Group(variables[begin:end], draw(maps_naming(names))) for begin, end in spans]
    grouped = [path for group in groups for path in group.variables]
    fates = {path: draw(st.sampled_from(["slots", "fresh", "none"])) for path in grouped}
    schedule = draw(st.none() | st.builds(v.ObjectValue, values.class_names(), values_naming(names)))
    return Optimizer(
        draw(_OPS),
        hyperparameters=draw(maps_naming(names)),
        learning_rate=draw(st.none() | st.floats()),
        step=draw(_STEPS),
        micro_step=draw(_STEPS),
        schedule=schedule,
        schedule_clock=draw(st.sampled_from(optimizer.CLOCKS)) if schedule else None,
        groups=groups,
        slots={path: draw(_SLOTS) for path, fate in fates.items() if fate == "slots"},
        fresh=[path for path, fate in fates.items() if fate == "fresh"],
        shared_slots=draw(_SLOTS) if draw(st.booleans()) else {},
        inner=draw(_optimizers(names, levels - 1)) if levels and draw(st.booleans()) else None,
        residue=draw(residues(names)),
    )


@st.composite
def states(draw: st.DrawFn, names: Names | None = None) -> State:
    """Counters, generators, metrics, positions, the caller's own values, and residue.

    Args:
        draw: given by Hypothesis.
        names: what the values may refer to.
    """
    names = replace(names or Names(), tensors=True)
    maps = maps_naming(names)
    found = State(
        counters=draw(_COUNTERS),
        rng=draw(_GENERATORS),
        metrics=draw(st.dictionaries(_PATHS, maps, max_size=2)),
        data=draw(maps),
        user=draw(maps),
        residue=draw(residues(names)),
    )
    assume(_have_names(state.tensors(found)))
    return found


def _have_names(found: Iterator[tuple[str, Tensor]]) -> bool:
    """Whether every tensor has a legal name of its own: places may collide, and names may be too long (O-16, D-4)."""
    try:
        names = [paths.check_path(name, "") for name, _ in found]
        paths.check_no_collisions(names, "")
    except RejectError:
        return False
    return True
