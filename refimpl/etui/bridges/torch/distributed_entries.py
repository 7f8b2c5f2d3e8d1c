"""A model as a distributed state of torch: which keys it has, and what is at each (SPEC.md, annex R)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

from etui.bridges.torch.arrays import tensor_of
from etui.bridges.torch.distributed_keys import GROUPS, PARAMS, RULES, SHARED, STATE, Path, slots_of
from etui.bridges.torch.distributed_model import FRAMEWORK, read_groups
from etui.bridges.torch.distributed_values import decode
from etui.bridges.torch.files_names import name_of
from etui.bridges.torch.optimizers_stock import plan
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.core.optimizers import rate_of
from etui.core.vocabulary import NAMESPACE, filled, optimizers
from etui.errors import EtuiError, error, shown
from etui.model import Model
from etui.report import Report


class Entry(NamedTuple):
    """A key of a state: its path, and the stored tensor, or the object that it is without data of its own."""

    path: Path
    tensor: Tensor | None = None
    value: Any = None


def entries(model: Model, module: Path | None, optimizer: Path | None, report: Report) -> dict[str, Entry]:
    """What a model is as a state of torch: flattened key -> entry.

    Args:
        model: of any origin whose variables have the names of the module's tensors.
        module: path of the module's `state_dict`; by default where it was, or ``model``.
        optimizer: that of the only optimizer's; by default where it was, or ``optim``.
        report: gets an entry for each optimizer that torch has no class for.
    """
    facts = _facts(model.state.residue if model.state is not None else {})
    found: dict[str, Entry] = {}
    base = module if module is not None else _path(facts.get("model"), ("model",))
    for path in [*(model.weights or ()), *(model.weights.aliases if model.weights is not None else ())]:
        assert model.weights is not None  # noqa: S101  it has a path
        _put(found, Entry((*base, name_of(path)), model.weights[path].tensor))
    listed = facts.get("optimizers", {})
    for name, one in model.optimizer.optimizers.items() if model.optimizer is not None else ():
        known = listed.get(name, {}) if isinstance(listed, dict) else {}
        place = optimizer if optimizer is not None else _path(known.get("path"), ("optim",))
        for entry in _optimizer_entries(name, one, place, report, flat=known.get("flat") is True):
            _put(found, entry)
    if model.state is not None:
        for path, item in _leaves(model.state.user, facts.get("user")):
            _put(found, Entry(path, item) if isinstance(item, Tensor) else Entry(path, None, decode(item)))
    return found


def _put(found: dict[str, Entry], entry: Entry) -> None:
    key = ".".join(map(str, entry.path))
    if key in found:
        raise error("distributed-names", found=f"two entries {shown(key)}; name other places with `model`, `optimizer`")
    found[key] = entry


def _facts(residue: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = residue.get(FRAMEWORK, {})
    return facts if isinstance(facts, dict) else {}


def _path(value: Any, default: Path) -> Path:
    sound = isinstance(value, list) and all(type(step) in {str, int} for step in value)
    return tuple(value) if sound else default


def _leaves(user: dict[str, Any], listed: Any) -> list[tuple[Path, Any]]:
    """What a state's map holds, at the paths that are listed, else at those that torch would give it."""
    if not isinstance(listed, list):
        return list(_walk((), user))
    paths = [_path(path, ()) for path in listed]
    return [(path, _at(user, path)) for path in paths if path and _at(user, path) is not _NOTHING]


_NOTHING = object()


def _at(item: Any, path: Path) -> Any:
    for step in path:
        known = range(len(item)) if isinstance(item, list) else item if isinstance(item, dict) else ()
        if step not in known:
            return _NOTHING
        item = item[step]
    return item


def _walk(path: Path, item: Any) -> Iterable[tuple[Path, Any]]:
    if isinstance(item, dict) and all(type(key) is str for key in item):
        for key, inner in item.items():
            yield from _walk((*path, key), inner)
    elif isinstance(item, list) and any(isinstance(inner, Tensor | dict) for inner in item):
        for at, inner in enumerate(item):
            yield from _walk((*path, at), inner)
    else:
        yield path, item


def _optimizer_entries(name: str, one: Optimizer, place: Path, report: Report, *, flat: bool) -> list[Entry]:
    facts = _facts(one.residue)
    known = _options(one, facts)
    if known is None:
        report.add("optimizer", name, "not-transferable", f"torch.optim has no class for {one.algorithm} as it is")
        return []
    kind, options = known
    params = facts.get(PARAMS)
    if not isinstance(params, list) or len(params) != len(options):
        params = [[name_of(path) for path in group.variables] for group in one.groups]

    def at(first: str, own: Any, last: str) -> Path:
        return (*place, f"{first}.{own}.{last}") if flat else (*place, first, own, last)

    found = []
    torch_of = {core: slot for slot, core in slots_of(kind).items()}
    for path, slots in one.slots.items():
        owner = name_of(path)
        found += [Entry(at(STATE, owner, torch_of[core]), slots[core]) for core in slots.keys() & torch_of.keys()]
    for param, what, value in _scalars(one, facts, kind):
        found.append(Entry(at(STATE, param, what), None, value))
    for number, (group, names) in enumerate(zip(options, params, strict=True)):
        if flat:
            found += [Entry(at(GROUPS, own, key), None, value) for own in names for key, value in group.items()]
        else:
            found += [Entry(at(GROUPS, number, key), None, value) for key, value in group.items()]
            found.append(Entry(at(GROUPS, number, PARAMS), None, list(names)))
    return found


def _options(one: Optimizer, facts: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """The class of `torch.optim` for a stored optimizer, and the options of its groups; `None` where there is none.

    The options that were kept hold as long as the optimizer is still the one that they state.
    """
    kind, kept = facts.get("class"), facts.get("groups")
    stored: list[dict[str, Any]] | None = None
    if isinstance(kind, str) and kind in RULES and isinstance(kept, list) and len(kept) == len(one.groups):
        try:
            again = read_groups(kind, kept, [list(map(name_of, group.variables)) for group in one.groups], {}, kind)
        except EtuiError:
            again = Optimizer("")
        stored = [decode(group) for group in kept] if again.algorithm == one.algorithm else None
        if stored is not None and _says(again) == _says(one):
            return kind, stored
    rule = one.algorithm.removeprefix(NAMESPACE)
    if not one.algorithm.startswith(NAMESPACE) or rule not in {known for known, _ in RULES.values()}:
        return None
    hyperparameters = optimizers()[rule].hyperparameters
    groups = [filled(hyperparameters, {**one.hyperparameters, **group.hyperparameters}) for group in one.groups]
    plans = [found for found in (plan(rule, values) for values in groups) if found is not None and found.native]
    if not plans or len(plans) != len(groups) or len({found.kind for found in plans}) > 1:
        return None
    made: list[dict[str, Any]] = []
    for group, found in zip(one.groups, plans, strict=True):
        class_of = getattr(torch.optim, found.kind)
        rate = group.hyperparameters.get("learning_rate", rate_of(one))
        fresh = class_of([torch.nn.Parameter(torch.empty(0))], lr=rate, **found.options).param_groups[0]
        made.append({key: value for key, value in fresh.items() if key != PARAMS})
    if stored is not None:
        made = [
            {**group, **{key: value for key, value in values.items() if key not in _FREE}}
            for group, values in zip(stored, made, strict=True)
        ]
    return "Adam" if plans[0].kind == "AdamW" else plans[0].kind, made


# How a step is computed, and not what it is.
_FREE = frozenset({"foreach", "fused", "capturable", "differentiable"})


def _says(one: Optimizer) -> tuple[Any, ...]:
    """What an optimizer says of its rule, to be compared."""
    return one.learning_rate, one.hyperparameters, [group.hyperparameters for group in one.groups]


def _scalars(one: Optimizer, facts: Mapping[str, Any], kind: str) -> list[tuple[str, str, Any]]:
    """The state that is no slot: parameter, name, value."""
    names = [name_of(path) for path in one.slots]
    kept = facts.get("state")
    found: list[tuple[str, str, Any]] = []
    if not isinstance(kept, dict):
        if kind != "SGD":
            found += [(name, "step", torch.tensor(float(one.step))) for name in names]
        if SHARED in one.shared_slots:
            product = tensor_of(one.shared_slots[SHARED].numpy())
            found += [(name, "mu_product", product.clone()) for name in names]
        return found
    for what, node in kept.items():
        held = node.get("own") if isinstance(node, dict) else None
        if isinstance(held, dict):
            found += [(param, what, decode(value)) for param, value in held.items()]
            continue
        value = decode(node.get("all")) if isinstance(node, dict) else None
        if what == "step" and isinstance(value, torch.Tensor) and value.item() != one.step:
            value = torch.full_like(value, one.step)  # changed since
        found += [(name, what, value.clone() if isinstance(value, torch.Tensor) else value) for name in names]
    return found
