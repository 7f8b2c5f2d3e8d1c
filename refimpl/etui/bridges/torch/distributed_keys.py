"""Keys of a distributed state dict of torch: which are a module's tensors, which an optimizer's (SPEC.md, annex R).

Keys alone decide, for a process that plans a save knows no values. An optimizer is one of the vocabulary's if its
groups have the options of one class of `torch.optim`, and its state no more than the slots of that class; the rest is
kept as it is, below the state's own map.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import torch

from etui.bridges.torch.adapters import COUNTERS
from etui.bridges.torch.files_names import MODELS, path_of
from etui.bridges.torch.optimizers_stock import plan
from etui.bridges.torch.optimizers_values import kind_of
from etui.core.vocabulary import filled, optimizers
from etui.errors import error, shown
from etui.paths import escape_segment

Path = tuple[str | int, ...]
GROUPS, STATE, PARAMS = "param_groups", "state", "params"
SHARED = "u_product"
_PRODUCT = "mu_product"
# Rule and hyperparameters with which a class has all the state that it may have, each slot the vocabulary's own.
RULES: Mapping[str, tuple[str, dict[str, object]]] = {
    "Adam": ("adam", {"epsilon_mode": "corrected", "amsgrad": True}),
    "NAdam": ("nadam", {"epsilon_mode": "corrected"}),
    "SGD": ("sgd", {"momentum": 0.9, "momentum_form": "buffer"}),
    "RMSprop": (
        "rmsprop",
        {"epsilon_mode": "outside", "momentum": 0.9, "momentum_form": "buffer", "centered": True},
    ),
    "Adagrad": ("adagrad", {"epsilon_mode": "outside"}),
    "Adadelta": ("adadelta", {}),
    "Adamax": ("adamax", {"epsilon_mode": "in_max"}),
}
_COUNTS = frozenset({"step", _PRODUCT})


@cache
def slots_of(kind: str) -> Mapping[str, str]:
    """The slots of a class of `torch.optim`: its name of the state -> that of the vocabulary."""
    rule, values = RULES[kind]
    found = plan(rule, filled(optimizers()[rule].hyperparameters, {"learning_rate": 1.0, **values}))
    assert found is not None  # noqa: S101  each of the rules has a class
    return {slot.torch: slot.core for slot in found.slots}


@cache
def options_of(kind: str) -> frozenset[str]:
    """The options that a group of a class has."""
    return frozenset(getattr(torch.optim, kind)([torch.nn.Parameter(torch.empty(0))]).defaults)


@dataclass(slots=True)
class OptimizerKeys:
    """The keys of one optimizer of the vocabulary.

    Attributes:
        path: of its `state_dict` within the state.
        kind: its class in `torch.optim`; of Adam and AdamW the first.
        flat: whether its own keys are joined by dots already (``flatten_optimizer_state_dict``).
        slots: key -> parameter and torch's name of the slot.
        scalars: key of other state -> parameter and name.
        options: key -> group, by its number or of flat keys its parameter, and the option.
    """

    path: Path
    kind: str = ""
    flat: bool = False
    slots: dict[str, tuple[str, str]] = field(default_factory=dict)
    scalars: dict[str, tuple[str, str]] = field(default_factory=dict)
    options: dict[str, tuple[int | str, str]] = field(default_factory=dict)

    @property
    def product(self) -> str | None:
        """The key that stands for the one number that all parameters share, of NAdam."""
        return next((key for key, (_, name) in self.scalars.items() if name == _PRODUCT), None)


@dataclass(slots=True)
class Keys:
    """The keys of a state, sorted.

    Attributes:
        model: path of the module's `state_dict` within the state; `None` where there is none.
        weights: key -> name of the tensor in the module.
        optimizers: path in the training object -> keys.
        others: key -> its path within the state.
        refused: optimizer -> why it is none of the vocabulary, and among the others.
    """

    model: Path | None = None
    weights: dict[str, str] = field(default_factory=dict)
    optimizers: dict[str, OptimizerKeys] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def tensors(self, tensors: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Which of the keys of tensors have data of their own: key -> role and name in the artifact."""
        found: dict[str, tuple[str, str]] = {}
        for key in tensors:
            if key in self.weights:
                found[key] = ("weights", path_of(self.weights[key]))
            elif key in self.others:
                found[key] = ("state", "/".join(["user", *(escape_segment(str(step)) for step in self.others[key])]))
        for name, one in self.optimizers.items():
            for key, (param, slot) in one.slots.items():
                core = escape_segment(slots_of(one.kind)[slot])
                found[key] = ("optimizer", f"{name}/slots/{path_of(param)}/{core}")
            if one.product is not None:
                found[one.product] = ("optimizer", f"{name}/shared_slots/{SHARED}")
        return found


def sort_keys(paths: Mapping[str, Path], shapes: Mapping[str, tuple[int, ...]], model: Path | None = None) -> Keys:
    """Sort the keys of a flattened state.

    Args:
        paths: key -> its path within the state, in the state's order.
        shapes: key -> shape, of tensors alone.
        model: path of the module's `state_dict`, where its name does not tell it.

    Raises:
        UsageError: ``distributed-names``, no tensor is below `model`.
    """
    found = Keys()
    optimizer_paths = _optimizer_paths(paths.values())
    found.model = _model_path(paths, shapes, optimizer_paths) if model is None else model
    # A module may have a child of that name.
    optimizer_paths.pop(found.model or (), None)
    if found.model is not None:
        found.weights = names_below(found.model, paths, shapes)
        if not found.weights and model is not None:
            known = sorted({shown(path[0]) for path in paths.values()})
            raise error("distributed-names", found=f"no tensor below {'.'.join(map(str, model))}, but {known[:20]}")
    names = {name: key for key, name in found.weights.items()}
    taken = set(found.weights)
    for path, flat in optimizer_paths.items():
        one = _optimizer(path, flat, paths)
        reason = _refusal(one, shapes, names)
        name = "optimizer" if len(optimizer_paths) == 1 else "/".join(escape_segment(str(step)) for step in path)
        if reason:
            found.refused[".".join(map(str, path))] = reason
            continue
        found.optimizers[name] = one
        taken |= one.slots.keys() | one.scalars.keys() | one.options.keys()
    found.others = {key: path for key, path in paths.items() if key not in taken}
    return found


def names_below(model: Path, paths: Mapping[str, Path], tensors: Collection[str]) -> dict[str, str]:
    """The tensors of a module: key -> name."""
    depth, found = len(model), {}
    for key in (key for key in paths if key in tensors):
        *parents, name = paths[key]
        if len(parents) == depth and tuple(parents) == model and type(name) is str:
            found[key] = name
    return found


def _optimizer_paths(paths: Iterable[Path]) -> dict[Path, bool]:
    """Where optimizers are, and whether their keys are flat."""
    found: dict[Path, bool] = {}
    for path in paths:
        for at, step in enumerate(path[1:], 1):
            if step == GROUPS and len(path) > at + 1 and type(path[at + 1]) is int:
                found[path[:at]] = False
            elif type(step) is str and step.startswith(f"{GROUPS}.") and len(path) == at + 1:
                found[path[:at]] = True
    return found


def _model_path(
    paths: Mapping[str, Path], shapes: Mapping[str, tuple[int, ...]], optimizer_paths: Collection[Path]
) -> Path | None:
    """Where the module's tensors are: beside an optimizer, at the top, or the whole state."""
    with_tensors = {paths[key][:-1] for key in shapes}
    beside = dict.fromkeys([*(path[:-1] for path in optimizer_paths), ()])
    for parent in beside:
        for name in MODELS:
            if (*parent, name) in with_tensors:
                return (*parent, name)
    return () if shapes and all(len(path) == 1 for path in paths.values()) else None


def _optimizer(path: Path, flat: bool, paths: Mapping[str, Path]) -> OptimizerKeys:
    """The keys of an optimizer; what is none of its own makes it one of no class."""
    one = OptimizerKeys(path, flat=flat)
    depth = len(path)
    for key, full in paths.items():
        rest = full[depth:]
        if full[:depth] != path or not rest:
            continue
        if flat and len(rest) == 1:
            first, _, tail = str(rest[0]).partition(".")
            owner, _, last = tail.rpartition(".")
            rest = (first, owner, last)
        if len(rest) == 3 and rest[0] == STATE:
            one.scalars[key] = (str(rest[1]), str(rest[2]))
        elif len(rest) == 3 and rest[0] == GROUPS:
            one.options[key] = (rest[1], str(rest[2]))
        else:
            one.options[key] = (-1, "")  # of no group
    groups: dict[int | str, set[str]] = {}
    for group, option in one.options.values():
        groups.setdefault(group, set()).add(option)
    states: dict[str, dict[str, None]] = {}
    for param, slot in one.scalars.values():
        states.setdefault(param, {})[slot] = None
    kinds = {kind_of(dict.fromkeys(options), states.values()) for options in groups.values()}
    one.kind = kinds.pop() if len(kinds) == 1 else ""
    if one.kind not in RULES or any(not options_of(one.kind) <= options for options in groups.values()):
        one.kind = ""
    return one


def _refusal(one: OptimizerKeys, shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str]) -> str:
    """Why an optimizer is none of the vocabulary, or an empty string; else its slots are told from its other state."""
    if not one.kind:
        return "its options are those of no class that states a rule of the vocabulary by itself"
    own = {option for _, option in one.options.values()}
    if own & {COUNTERS} or any(option.startswith("core_") for option in own):
        return "hooks or an adapter of etui keep its rule up"
    known = slots_of(one.kind)
    for key, (param, slot) in list(one.scalars.items()):
        if param not in names:
            return f"the state of {shown(param)}, which is no tensor of the module"
        if slot not in known and slot not in _COUNTS:
            return f"the state {shown(slot)}, which its class does not have"
        if key in shapes and slot in known:
            if shapes[key] != shapes[names[param]]:
                return f"the state {shown(slot)} of {shown(param)} has another shape than that"
            one.slots[key] = one.scalars.pop(key)
        elif shapes.get(key):
            return f"the state {shown(slot)} of {shown(param)}, which is no single number"
    if any(shapes.get(key) for key in one.options):
        return "an option that is a tensor of several numbers"
    return ""
