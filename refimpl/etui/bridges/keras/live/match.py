"""Which stored variable goes to which variable of a model (SPEC.md, annex I): by path, never by chance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.modules import join
from etui.bridges.keras.variables import dataset_names
from etui.containers.config import Config
from etui.containers.weights import Variable, Weights
from etui.errors import error, shown
from etui.report import Report

_MODULES_SHOWN = 3


@dataclass(slots=True)
class Matching:
    """How to bring stored variables to those of a model.

    Attributes:
        rename: beginning of a stored path -> what stands there in the model's path; the longest that fits counts.
        layers: paths of modules of the model, or names of layers, to which the load is confined; `None` for all.
        skip_mismatch: paths or names of layers or variables, on either side, that need not match.
        order: match layers by their order instead of their paths, if they are the same in order.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    layers: Collection[str] | None = None
    skip_mismatch: Collection[str] = ()
    order: bool = False

    def pairs(self, source: Side, target: Side, report: Report, fits: Callable[[str, str], bool]) -> dict[str, str]:
        """Target path -> source path of every variable that is to be loaded.

        Args:
            source: the stored model.
            target: the live one.
            report: gets an entry for every variable on both sides.
            fits: accounts for a pair of target and source path and says whether the one can hold the other.

        Raises:
            TransferError: ``live-nothing``, ``live-order``.
            UsageError: ``live-layers``, a layer of that name is on no side.
        """
        self._check_names(source, target)
        names = _by_order(source, target) if self.order else self._by_path(source, target)
        wanted = {name: path for path, name in names.items()}
        if len(wanted) < len(names):
            clash = next(name for path, name in names.items() if wanted[name] != path)
            raise error("live-rename", found=f"two stored variables that become {clash}")
        chosen = {path for path in target.paths() if self._is_chosen(path)}
        found, missing = {}, []
        for path in target.paths():
            if path not in chosen:
                report.add("variable", path, "left-out", "not among the layers that were asked for")
            elif path not in wanted:
                missing.append(path)
            elif self._can_skip(path, wanted[path]) and not _like(target[path], source[wanted[path]]):
                report.add("variable", path, "left-out", "another shape in the file, and to be skipped then")
            elif fits(path, wanted[path]):
                found[path] = wanted[path]
        unexpected = [path for path in source.paths() if names[path] not in chosen]
        hint = _hint(source, target, unexpected, missing) if missing and unexpected else ""
        self._account(report, "missing", "the file does not have it", missing, hint)
        kept = [path for path in unexpected if names[path] in target]
        for path in kept:
            report.add("stored variable", path, "left-out", "not for the layers that were asked for")
        rest = [path for path in unexpected if path not in kept]
        if self.layers is None:
            self._account(report, "unexpected", "the model does not have it", rest, "" if missing else hint)
        else:
            for path in rest:
                report.add("stored variable", path, "left-out", "not for the layers that were asked for")
        if chosen and not any(wanted.get(path) for path in chosen):
            counts = f"{len(source.weights)} in the file, {len(chosen)} in the model"
            raise error("live-nothing", where=report.source, found=counts, hint=hint)
        return found

    def _by_path(self, source: Side, target: Side) -> dict[str, str]:
        """Source path -> target path.

        Where a format knows no names of variables, their numbers count; where it knows none of the layers of an
        author's class, their places in Keras' layout do, which follow from the class.
        """
        placed = {}
        if source.root == target.root and source.root.startswith("custom:"):
            placed = {dataset: path for path, dataset in target.datasets.items()}
        names = {}
        for path in source.paths():
            name = self._renamed(path)
            if name not in target:
                name = target.numbered.get(name) or placed.get(source.datasets.get(path, ""), name)
            names[path] = name
        return names

    def _renamed(self, path: str) -> str:
        fitting = [old for old in self.rename if path.startswith(old)]
        if not fitting:
            return path
        old = max(fitting, key=len)
        return self.rename[old] + path[len(old) :]

    def _is_chosen(self, path: str) -> bool:
        return self.layers is None or any(_is_below(path, layer) for layer in self.layers)

    def _can_skip(self, *paths: str) -> bool:
        return any(_is_below(path, name) for path in paths for name in self.skip_mismatch)

    def _account(self, report: Report, status: str, detail: str, paths: Iterable[str], hint: str) -> None:
        kind = "variable" if status == "missing" else "stored variable"
        for path in paths:
            if self._can_skip(path):
                report.add(kind, path, "left-out", f"{detail}, and to be skipped then")
            else:
                report.add(kind, path, status, f"{detail}. {hint}" if hint else detail)
                hint = ""  # once is enough

    def _check_names(self, source: Side, target: Side) -> None:
        known = [*source.paths(), *target.paths(), *source.modules, *target.modules]
        for name in (*(self.layers or ()), *self.skip_mismatch):
            if not any(_is_below(path, name) for path in known):
                raise error("live-layers", found=shown(name), hint=f"Layers: {', '.join(target.top()) or 'none'}.")
        for old in self.rename:
            if not any(path.startswith(old) for path in source.paths()):
                raise error("live-rename", found=f"no stored path begins with {shown(old)}")


@dataclass(slots=True)
class Side:
    """The variables of one model with the modules that own them.

    Attributes:
        weights: its variables.
        modules: path of each module -> its op; empty where there is no config.
        numbered: path of a module and the number of a variable in it -> path of the variable.
        datasets: path of a variable -> its name in Keras' layout.
        root: the op of the model itself.
    """

    weights: Weights
    modules: Mapping[str, str]
    numbered: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    root: str = ""

    @classmethod
    def of(cls, weights: Weights, config: Config | None) -> Side:
        """The variables and modules of a neutral model."""
        if config is None:
            return cls(weights, {})
        known = list(dataset_names(config, weights))
        numbered = {join(module, dataset.rpartition("/")[2]): path for module, path, dataset in known}
        modules = {path: module.op for path, module in config.walk() if path}
        return cls(weights, modules, numbered, {path: dataset for _, path, dataset in known}, config.model.op)

    def paths(self) -> list[str]:
        """The paths of all variables, aliases included."""
        return [*self.weights.variables, *self.weights.aliases]

    def top(self) -> list[str]:
        """The names of the modules of the first level that own variables."""
        return list(dict.fromkeys(path.partition("/")[0] for path in self.paths()))

    def owners(self) -> dict[str, list[str]]:
        """The paths of each module's own variables, modules in the order of their variables."""
        found: dict[str, list[str]] = {}
        for path in self.weights.variables:
            found.setdefault(path.rpartition("/")[0], []).append(path)
        return found

    def form(self, paths: Iterable[str]) -> list[tuple[str, tuple[int, ...]]]:
        """Role and shape of each variable of a module."""
        return sorted((path.rpartition("/")[2], self.weights[path].shape) for path in paths)

    def __getitem__(self, path: str) -> Variable:
        return self.weights[path]

    def __contains__(self, path: object) -> bool:
        return path in self.weights


def _is_below(path: str, name: str) -> bool:
    """Whether a path is, or is below, a path or a layer of that name."""
    return path == name or path.startswith(f"{name}/") or f"/{name}/" in f"/{path}/"


def _like(one: Variable, two: Variable) -> bool:
    return one.shape == two.shape


def _by_order(source: Side, target: Side) -> dict[str, str]:
    """Source path -> target path where both models have the same layers in order."""
    ours, theirs = source.owners(), target.owners()
    if len(ours) != len(theirs):
        raise error("live-order", found=f"{len(ours)} layers with variables in the file, {len(theirs)} in the model")
    names: dict[str, str] = {}
    for (one, mine), (two, yours) in zip(ours.items(), theirs.items(), strict=True):
        kinds = source.modules.get(one), target.modules.get(two)
        if source.form(mine) != target.form(yours) or (all(kinds) and kinds[0] != kinds[1]):
            raise error("live-order", found=f"{one or 'the root'} in the file, {two or 'the root'} in the model")
        names |= {join(one, role): join(two, role) for role, _ in target.form(yours)}
    return names | {path: path for path in source.weights.aliases}


def _hint(source: Side, target: Side, unexpected: list[str], missing: list[str]) -> str:
    """The renaming that would most likely have been meant, if there is one."""
    level = _level(unexpected, missing)
    if level is not None:
        return f'Another level of nesting? Then pass rename={{"{level[0]}": "{level[1]}"}}.'
    pairs: dict[str, str] = {}
    ours, theirs = _modules(source, unexpected), _modules(target, missing)
    for one, mine in ours.items():
        alike = [two for two, yours in theirs.items() if _alike(mine, yours)]
        same = [other for other, form in ours.items() if _alike(form, mine)]
        if len(alike) == len(same) == 1:
            pairs[one] = alike[0]
    if not pairs:
        return ""
    shown_pairs = [f'"{one}/": "{two}/"' for one, two in list(pairs.items())[:_MODULES_SHOWN]]
    more = ", …" if len(pairs) > _MODULES_SHOWN else ""
    return f"Layers under other names? Then pass rename={{{', '.join(shown_pairs)}{more}}}."


def _level(unexpected: list[str], missing: list[str]) -> tuple[str, str] | None:
    """Beginnings whose exchange makes all stored paths those of the model."""
    wanted = set(missing)
    first = {path.partition("/")[0] for path in missing}
    for name in sorted(first):
        if wanted & {f"{name}/{path}" for path in unexpected}:
            return "", f"{name}/"
    for name in sorted({path.partition("/")[0] for path in unexpected}):
        if any(path.removeprefix(f"{name}/") in wanted for path in unexpected if path.startswith(f"{name}/")):
            return f"{name}/", ""
    return None


def _alike(one: tuple[str, Any], two: tuple[str, Any]) -> bool:
    """Whether two modules are of one class, as far as it is known, and have the same variables."""
    return one[1] == two[1] and (one[0] == two[0] or not one[0] or not two[0])


def _modules(side: Side, paths: list[str]) -> dict[str, tuple[str, Any]]:
    """Class and form of each module whose variables are all among the paths."""
    known = set(paths)
    return {
        owner: (side.modules.get(owner, ""), side.form(own))
        for owner, own in side.owners().items()
        if owner and known.issuperset(own)
    }
