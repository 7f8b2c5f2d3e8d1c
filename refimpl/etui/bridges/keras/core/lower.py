"""Core configs in the terms of Keras 3 (SPEC.md, annex L.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from etui.bridges.keras.core.patch import module_of, patched, tree_of
from etui.bridges.keras.core.rules import NotKerasError, Shape
from etui.bridges.keras.core.shells import CHILDREN, Shells
from etui.bridges.keras.core.unmasking import carriers, ignores_mask, masked_again
from etui.bridges.keras.modules import join
from etui.containers.config import Config, Module
from etui.core import vocabulary
from etui.report import Report
from etui.transfer import APPROXIMATE, NOT_TRANSFERABLE, Transfer


def lower_config(config: Config, report: Report, *, unbiased: bool) -> tuple[Config, int]:
    """A config whose core modules are Keras' layers.

    Args:
        config: with core modules; others stay as they are.
        report: gets an entry for each core module that Keras cannot say.
        unbiased: the target averages the unbiased variance, as Keras 2 does.

    Returns:
        A new config, and how many facts of Keras' own were left out as the place was edited.
    """
    lowering = _Lowering(config.find, report, unbiased=unbiased)
    root = lowering.module(config.model, "", "", None)
    for _, module in root.walk():
        if module.target is not None:
            module.target = lowering.paths.get(module.target, module.target)
    return Config(root, dict(config.extra)), lowering.passed


class _Lowering:
    def __init__(self, find: Callable[[str], Module], report: Report, *, unbiased: bool) -> None:
        self.shells = Shells(find)
        self.report = report
        self.unbiased = unbiased
        self.paths: dict[str, str] = {}
        self.passed = 0

    def module(self, module: Module, path: str, to: str, shape: Shape | None) -> Module:
        """A module with all of its children.

        Args:
            module: the core module.
            path: its path.
            to: its path among Keras' modules.
            shape: of its input, if it is known.
        """
        self.paths[path] = to
        if module.target is not None:
            return replace(module)
        module = masked_again(module)
        names = CHILDREN.get(module.op, {})
        shapes = self.shells.child_shapes(module, shape) if vocabulary.is_core(module) else {}
        children = {}
        for child in module.modules:
            name = names.get(child.name, child.name)
            made = self.module(child, join(path, child.name), join(to, name), shapes.get(child.name))
            made.name = name
            children[name] = made
        if not vocabulary.is_core(module):
            return replace(module, modules=list(children.values()))
        try:
            shell = self.shells.shell(module, to, shape)
        except NotKerasError as why:
            detail = str(why)
            self.report.add("module", path or module.name, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
            return replace(module, modules=list(children.values()))
        self._check(module, path)
        tree, passed = patched(tree_of(shell, children), module.residue.get("keras", {}).get("patch"))
        self.passed += passed
        return module_of(tree, module.name, children)

    def _check(self, module: Module, path: str) -> None:
        if module.graph is not None and not self.unbiased:
            modules = {child.name: self.shells.resolved(child) for child in module.modules}
            carrying = carriers(module.graph, modules)
            for call in module.graph.calls:
                if ignores_mask(call, modules[call.module], carrying):
                    detail = "Keras takes no notice of the mask of a sequence whose first states are given"
                    transfer = Transfer(APPROXIMATE, "steps that are masked count")
                    self.report.add("module", join(path, call.module), "approximated", detail, transfer)
        if module.attrs.get("moving_variance") == "unbiased" and not self.unbiased:
            detail = "Keras averages the biased variance, which is smaller by the factor (n - 1) / n of n elements"
            transfer = Transfer(APPROXIMATE, "moving_variance follows the biased variance of each batch")
            self.report.add("module", path, "approximated", detail, transfer)
