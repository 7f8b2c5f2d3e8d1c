"""Variables, files and random streams of a neutral model into a live one (SPEC.md, annex I).

Everything is planned first. Only a plan that the report allows is carried out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etui.bridges.keras.archive import ASSETS
from etui.bridges.keras.assets import written_assets
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.live.tree import Held, LiveTree
from etui.bridges.keras.modules import join
from etui.containers.config import Config
from etui.containers.tensors import Tensor
from etui.model import Blob
from etui.report import Report

_FLOATS = ("bfloat16", "float")


@dataclass(slots=True)
class Plan:
    """What a load will change.

    Attributes:
        framework: of the live model.
        report: the account.
        values: pairs of a live variable and its elements to be.
        stores: layers that take up what they save by their own method, with all of it.
    """

    framework: Framework
    report: Report
    values: list[tuple[Any, Tensor]] = field(default_factory=list)
    stores: list[tuple[Held, dict[str, Tensor]]] = field(default_factory=list)

    def fits(self, kind: str, subject: str, variable: Any, tensor: Tensor, detail: str = "") -> bool:
        """Account for one variable and what is to go into it; whether it can."""
        framework = self.framework
        shape = tuple(int(size) for size in variable.shape)
        dtype = framework.dtype(variable)
        if shape != tensor.shape:
            found = f"{list(tensor.shape)} in the file, {list(shape)} in the model"
            self.report.add(kind, subject, "shape-mismatch", found)
            return False
        if dtype == tensor.dtype:
            self.report.add(kind, subject, "restored", detail)
            return True
        found = f"{tensor.dtype} in the file, {dtype} in the model"
        if not (dtype.startswith(_FLOATS) and tensor.dtype.startswith(_FLOATS)) and not _is_counter(
            shape, dtype, tensor
        ):
            self.report.add(kind, subject, "not-transferable", found)
            return False
        self.report.add(kind, subject, "cast", found)
        return True

    def put(self, variable: Any, tensor: Tensor) -> None:
        """Have a variable get the elements of a tensor."""
        self.values.append((variable, tensor))

    def verify(self) -> None:
        """Read everything once, so that a damaged file is found before anything is changed.

        Raises:
            IntegrityError: ``digest-mismatch``.
        """
        for variable, tensor in self.values:
            self.framework.look(variable, tensor)
        for held, store in self.stores:
            for key, tensor in store.items():
                self.framework.look(held.variables.get(key), tensor)

    def carry_out(self) -> None:
        """Change the variables, one after the other."""
        for held, store in self.stores:
            own = {key: self.framework.handed(held.variables.get(key), tensor) for key, tensor in store.items()}
            held.thing.load_own_variables(own)
        for variable, tensor in self.values:
            self.framework.take(variable, tensor)


def _is_counter(shape: tuple[int, ...], dtype: str, tensor: Tensor) -> bool:
    """Whether one whole number goes from one integer type into another, as between backends."""
    whole = ("int", "uint")
    return shape == () and dtype.startswith(whole) and tensor.dtype.startswith(whole)


def plan_groups(plan: Plan, tree: LiveTree, stored: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    """Plan the variables of whole layers by their names in the layout.

    Args:
        plan: gets the assignments and the account.
        tree: the live model.
        stored: name in the layout -> tensor.
        names: name in the layout -> path, for the report.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in stored.items():
        group, _, key = name.rpartition(f"{VARS}/")
        groups.setdefault(group.rstrip("/"), {})[key] = tensor
    for held in tree.held:
        _plan_one(plan, held, groups.pop(held.group, {}), names)
    for group, rest in groups.items():
        for key in rest:
            name = f"{join(group, VARS)}/{key}"
            plan.report.add("variable", names.get(name, name), "unexpected", "no layer of the model has it")


def _plan_one(plan: Plan, held: Held, stored: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    framework = plan.framework
    paths = {key: names.get(f"{join(held.group, VARS)}/{key}", f"{join(held.group, VARS)}/{key}") for key in
             (*stored, *held.variables)}  # fmt: skip
    live = all(framework.is_variable(one) for one in held.variables.values())
    if framework.loads_itself(held.thing) and stored and not _has_adapter(held.thing):
        if stored.keys() != held.variables.keys() or not live:
            for key in stored:
                plan.report.add("variable", paths[key], "restored", "by the layer's own method")
            plan.stores.append((held, dict(stored)))
            return
        fitting = [plan.fits("variable", paths[key], held.variables[key], stored[key]) for key in stored]
        if all(fitting):
            plan.stores.append((held, dict(stored)))
        return
    for key, variable in held.variables.items():
        if not framework.is_variable(variable):
            continue  # of a layer with an adapter: its own variables are planned apart
        if key not in stored:
            plan.report.add("variable", paths[key], "missing")
        elif plan.fits("variable", paths[key], variable, stored[key]):
            plan.put(variable, stored[key])
    for key in stored.keys() - held.variables.keys():
        plan.report.add("variable", paths[key], "unexpected", "the layer does not have it")


def _has_adapter(thing: Any) -> bool:
    return bool(getattr(thing, "lora_enabled", False))


def finish(thing: Any) -> None:
    """Have a layer make what it derives from its variables."""
    done = getattr(thing, "finalize_state", None)
    if callable(done):
        done()


def plan_assets(tree: LiveTree, config: Config, parts: Mapping[str, Blob], report: Report) -> Callable[[], None]:
    """Plan to hand each layer the files that it keeps, in a folder of their own, after its variables.

    Returns:
        What does it.
    """
    held = {one.group: one.thing for one in tree.held if hasattr(one.thing, "load_assets")}
    files: dict[str, dict[str, Blob]] = {}
    for part, (member, blob) in zip(parts, written_assets(config, parts), strict=True):
        group, _, name = member.removeprefix(ASSETS).rpartition("/")
        if group in held and name not in ("", ".", ".."):
            files.setdefault(group, {})[name] = blob
            report.add("asset", part, "restored")
        else:
            report.add("asset", part, "unexpected", "no layer of the model keeps files there")

    def restore() -> None:
        for group, content in files.items():
            with tempfile.TemporaryDirectory() as folder:
                for name, blob in content.items():
                    Path(folder, name).write_bytes(blob.read())
                held[group].load_assets(folder)

    return restore
