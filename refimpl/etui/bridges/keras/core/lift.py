"""Keras 3 configs in the terms of the core vocabulary (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etui.bridges.keras.core.calls import Arguments, lift_call
from etui.bridges.keras.core.composed import COMPOSED
from etui.bridges.keras.core.lift_attributes import lift_attributes, prune
from etui.bridges.keras.core.patch import difference, tree_of
from etui.bridges.keras.core.rules import NotCoreError, NotKerasError, Rule, Shape, Signature
from etui.bridges.keras.core.shapes import Shapes, output_shapes
from etui.bridges.keras.core.shells import CHILDREN, MODEL, Shells
from etui.bridges.keras.core.table import STRUCTURE, reason_of, rule_of
from etui.bridges.keras.core.unmasking import is_unmasking, unmask
from etui.bridges.keras.modules import is_input, join, residue
from etui.canonical.values import OutputRef, references
from etui.containers.config import Call, Config, Graph, Module
from etui.core import vocabulary
from etui.report import Report

# What Python says where a value of a file, which may be anything, is not of the type that Keras writes.
_MISFITS = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, ZeroDivisionError)
_RECURRENT = frozenset({"core:simple_rnn", "core:lstm", "core:gru"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a config of Keras 3 does not tell, where it was one of Keras 2 before.

    Attributes:
        weighted: whether the model has weights, so that a layer without variables has not been built.
        kept: path -> reason, of modules that must stay as they are.
        unbiased: path -> the shape that it was built for, of normalizations that average the unbiased variance where
            their input has four or five axes.
        modes: whether an argument `training` of a call has a meaning, as in Keras 2.
    """

    weighted: bool
    kept: Mapping[str, str] = field(default_factory=dict)
    unbiased: Mapping[str, Any] = field(default_factory=dict)
    modes: bool = False


def lift_config(config: Config, report: Report, facts: Facts) -> Config:
    """A config in the terms of the vocabulary; what it cannot say stays as it is.

    Args:
        config: of Keras 3.
        report: gets an entry for each module.
        facts: what the config does not tell.
    """
    return Config(_Lifting(config, report, facts).root(), dict(config.extra))


class _Lifting:
    def __init__(self, config: Config, report: Report, facts: Facts) -> None:
        self.config = config
        self.report = report
        self.facts = facts
        self.paths: dict[str, str] = {}
        self.made: dict[str, Module] = {}
        self.shells = Shells(lambda path: self.made[path])
        self.calls: dict[str, list[Call]] = {}
        for path, module in config.walk():
            children = {child.name: child.target or join(path, child.name) for child in module.modules}
            for call in module.graph.calls if module.graph is not None else ():
                self.calls.setdefault(children[call.module], []).append(call)

    def root(self) -> Module:
        """The lifted tree."""
        found = self.module(self.config.model, "", "", None)
        for _, module in found.walk():
            if module.target is not None:
                module.target = self.paths.get(module.target, module.target)
        return found

    def module(self, module: Module, path: str, to: str, shape: Shape | None) -> Module:
        """A module with all of its children.

        Args:
            module: of Keras.
            path: its path.
            to: its path in the core config.
            shape: of its input, if it is known.
        """
        self.paths[path] = to
        if module.target is not None:
            return replace(module)
        if vocabulary.is_core(module):
            below = [self.module(child, join(path, child.name), join(to, child.name), None) for child in module.modules]
            self.made[path] = replace(module, modules=below)
            return self.made[path]
        # What a module that stays as it is has in it, stays as it is: paths and entries of it are taken back.
        before = len(self.report.entries)
        try:
            found = self._lifted(module, path, to, shape)
        except (NotCoreError, *_MISFITS) as why:
            del self.report.entries[before:]
            for inner, child in module.walk(path):
                self.paths[inner] = join(to, inner[len(path) :].lstrip("/")) if inner != path else to
                self.made[inner] = child
            reason = str(why) if isinstance(why, NotCoreError) else "it has a value of a form that Keras does not write"
            self.report.add("module", path or module.name, "data-only", f"{module.op} stays: {reason}")
            return replace(module)
        self.made[path] = found
        title = module.op.partition(":")[2]
        self.report.add("module", path or module.name, "translated", f"{title} as {found.op}")
        return found

    def _lifted(self, module: Module, path: str, to: str, shape: Shape | None) -> Module:
        if path in self.facts.kept:
            raise NotCoreError(self.facts.kept[path])
        name = module.op.partition(":")[2]
        others = {key: facts for key, facts in module.residue.items() if key != "keras"}
        found = Module(module.name, "layer", residue=others, extra=dict(module.extra))
        known = module.op.startswith("keras:")
        if known and name in STRUCTURE:
            found.op = f"core:{STRUCTURE[name]}"
            if is_input(module.op):
                found.attrs = prune("input", _input(module.attrs))
            else:
                self._model(module, found, path, to, shape)
        elif module.op in COMPOSED:
            found.op = "core:graph"
            COMPOSED[module.op].lift(module, found)
        else:
            rule = rule_of(module.op)
            if rule is None:
                raise NotCoreError(reason_of(module.op))
            found.op = f"core:{rule.op}"
            self._layer(module, found, rule, path, to, shape)
        self._patch(module, found, path, shape)
        return found

    # --- layers -------------------------------------------------------------------------------------------------------

    def _layer(self, module: Module, found: Module, rule: Rule, path: str, to: str, shape: Shape | None) -> None:  # noqa: PLR0917
        if shape is None:
            shape = _built_for(module)
        taken = self._taken(rule, path)
        found.attrs = lift_attributes(rule, module, taken, shape)
        if path in self.facts.unbiased:
            built = shape if self.facts.unbiased[path] is None else self.facts.unbiased[path]
            if built is not None and len(built) in (4, 5) and found.attrs.get("axis", -1) in (1, -1, len(built) - 1):
                found.attrs["moving_variance"] = "unbiased"
        found.params = self._variables(module, found, rule, path)
        if rule.op in ("bidirectional", "time_distributed"):
            self._held(module, found, path, to, shape)
        elif any(child.name not in rule.children and _means(child) for child in module.modules):
            raise NotCoreError("it holds layers that the op does not have")

    def _taken(self, rule: Rule, path: str) -> dict[str, Any]:
        """Check the calls of a module, and give the attributes that are arguments of them."""
        op = vocabulary.ops()[rule.op]
        found: list[dict[str, Any]] = []
        for call in self.calls.get(path, ()):
            taken = self._arguments(call, rule.signature, op).taken
            if taken not in found:
                found.append(taken)
        if len(found) > 1:
            raise NotCoreError("it is called with several arguments that are one attribute of the op")
        if rule.signature.taken and not found:
            raise NotCoreError("it is never called")
        return found[0] if found else {}

    def _arguments(self, call: Call, signature: Signature, op: vocabulary.Op) -> Arguments:
        return lift_call(call, signature, op, modes=self.facts.modes)

    def _variables(self, module: Module, found: Module, rule: Rule, path: str) -> dict[str, str]:
        """The variables by role; in a config without weights, the paths that they would have."""
        op = vocabulary.ops()[rule.op]
        attrs = vocabulary.attrs_of(found)
        needed = [role for role, param in op.params.items() if param.present(attrs)]
        params = _variables(module, rule)
        if not self.facts.weighted and not params:
            homes = {role: rule.homes.get(role, ("", role)) for role in needed}
            params = {
                role: join(join(path, child), own) if child else join(path, own) for role, (child, own) in homes.items()
            }
        if set(params) != set(needed):
            raise NotCoreError(f"it has the variables {sorted(params)}, and the op has {sorted(needed)}")
        return params

    def _held(self, module: Module, found: Module, path: str, to: str, shape: Shape | None) -> None:
        """The layers that a wrapper holds."""
        names = {keras: core for core, keras in CHILDREN[found.op].items()}
        held = list(module.modules)
        if found.op == "core:bidirectional" and [child.name for child in held] == ["forward_layer"]:
            held.append(Module("backward_layer"))
        if {child.name for child in held} != names.keys():
            raise NotCoreError("it does not hold the layers that the op has")
        inner = shape
        if found.op == "core:time_distributed":
            inner = None if shape is None else (shape[0], *shape[2:])
        for child in sorted(held, key=lambda one: list(names).index(one.name)):
            whole = child
            if child.name == "backward_layer" and not child.attrs and child.target is None:
                whole = _mirrored(child, module)
            made = self.module(whole, join(path, child.name), join(to, names[child.name]), inner)
            target = made if made.target is None else self.made[made.target]
            if not vocabulary.is_core(target):
                raise NotCoreError(f"the layer that it holds stays, {target.op}")
            if found.op == "core:bidirectional" and target.op not in _RECURRENT:
                raise NotCoreError(f"it holds {target.op}")
            made.name = names[child.name]
            found.modules.append(made)
            if found.op == "core:bidirectional" and made.target is None:
                # What Keras wrote of the layer is compared with what it is within a Bidirectional.
                _zero_outputs(made)
                made.residue.pop("keras", None)
                self._patch(child, made, join(path, child.name), inner)

    # --- models -------------------------------------------------------------------------------------------------------

    def _model(self, module: Module, found: Module, path: str, to: str, shape: Shape | None) -> None:
        found.params = dict(module.params)
        if module.attrs.get("trainable") is False:
            found.attrs["trainable"] = False
        for call in self.calls.get(path, ()):
            lift_call(call, MODEL, vocabulary.ops()["graph"], modes=self.facts.modes)
        if module.graph is None:
            if module.op == "keras:Functional":
                raise NotCoreError("its calls are not recorded")
            self._listed(module, found, path, to, shape)
            return
        found.kind = "graph"
        made: dict[str, Module] = {}
        shapes: dict[str, Shapes] = {}
        specs = residue(module).get("tensors", {})
        children = {child.name: child for child in module.modules}
        for call in module.graph.calls:
            first = _first_shape(call, shapes, specs)
            if call.module not in made:
                child = children[call.module]
                made[child.name] = self.module(child, join(path, child.name), join(to, child.name), first)
            target = self._target(made[call.module])
            ins = [_shape_at(one, shapes, specs) for one in references(call.args) if isinstance(one, OutputRef)]
            shapes[call.id] = output_shapes(target, ins) if vocabulary.is_core(target) else []
        for child in module.modules:
            if child.name not in made:
                made[child.name] = self.module(child, join(path, child.name), join(to, child.name), None)
        found.modules = [made[child.name] for child in module.modules]
        graph = module.graph
        calls = [self._call(call, children[call.module], made[call.module]) for call in graph.calls]
        found.graph = Graph(graph.inputs, graph.outputs, calls, dict(graph.extra))
        if not self.facts.modes and module.op == "keras:Functional":
            unmask(found, {name: self._target(one) for name, one in made.items()})

    def _listed(self, module: Module, found: Module, path: str, to: str, shape: Shape | None) -> None:
        """A Sequential model without an input: what it was built for is kept, as its variables hang on it."""
        built = _built_for(module)
        at = shape if shape is not None else built
        for child in module.modules:
            made = self.module(child, join(path, child.name), join(to, child.name), at)
            target = self._target(made)
            at = next(iter(output_shapes(target, [at])), None) if vocabulary.is_core(target) else None
            found.modules.append(made)
        if built is not None:
            found.build = {"input_shape": list(built)}

    def _target(self, module: Module) -> Module:
        return self.made.get(module.target, module) if module.target is not None else module

    def _call(self, call: Call, child: Module, made: Module) -> Call:
        target = self._target(made)
        if not vocabulary.is_core(target) or target.op == "core:input":
            return replace(call)
        source = self.config.find(child.target) if child.target is not None else child
        if source is target:
            return replace(call)
        rule = rule_of(source.op)
        signature = MODEL if rule is None else rule.signature
        found = self._arguments(call, signature, vocabulary.op_of(target))
        return Call(call.id, call.module, found.args, found.kwargs, dict(call.extra))

    # --- residue ------------------------------------------------------------------------------------------------------

    def _patch(self, module: Module, found: Module, path: str, shape: Shape | None) -> None:
        """Keep what turns the lowered module into the one that Keras wrote."""
        facts: dict[str, Any] = {}
        whole = shape if shape is not None else _built_for(module)
        names = CHILDREN.get(found.op, {})
        own = frozenset(names.get(child.name, child.name) for child in found.modules if not is_unmasking(child))
        try:
            try:
                derived = self.shells.shell(found, path, shape)
            except NotKerasError:
                derived = None
            # A class for a number of axes is named, as a graph with modules of unknown shapes may not tell the number.
            rule = rule_of(module.op)
            if derived is None or derived.op != module.op or (rule is not None and rule.ranks):
                facts["op"] = module.op
                found.residue["keras"] = facts
                derived = self.shells.shell(found, path, whole)
        except NotKerasError as why:
            raise NotCoreError(f"it could not be put back: {why}") from None
        patch = difference(tree_of(derived, own), tree_of(module, own))
        if patch:
            facts["patch"] = patch
        if facts:
            found.residue["keras"] = facts


def _means(child: Module) -> bool:
    """Whether a child that no rule names has variables or attributes of its own."""
    return bool(child.attrs or child.target is not None or any(below.params for _, below in child.walk()))


def _variables(module: Module, rule: Rule) -> dict[str, str]:
    """The variables of a layer by their roles in the op.

    Raises:
        NotCoreError: it has some that the op does not have, as quantized layers and adapters have.
    """
    op = vocabulary.ops()[rule.op]
    homes = {home: role for role, home in rule.homes.items()}
    found = {}
    for own, path in module.params.items():
        role = homes.get(("", own), own)
        if role not in op.params or rule.homes.get(role, ("", own)) != ("", own):
            raise NotCoreError(f"it has the variable {own}")
        found[role] = path
    for child in module.modules:
        if child.name not in rule.children:
            continue
        for role, path in child.params.items():
            if (child.name, role) not in homes:
                raise NotCoreError(f"it has the variable {child.name}/{role}")
            found[homes[child.name, role]] = path
        if child.attrs or child.modules:
            raise NotCoreError(f"its {child.name} has attributes of its own")
    return {role: found[role] for role in op.params if role in found}


def _mirrored(child: Module, module: Module) -> Module:
    """The layer of the other direction, which Keras makes of the first one."""
    forward = next(one for one in module.modules if one.name == "forward_layer")
    attrs = {key: value for key, value in forward.attrs.items() if key != "name"}
    return replace(child, op=forward.op, attrs=attrs | {"go_backwards": True})


def _zero_outputs(child: Module) -> None:
    """Within a Bidirectional, steps that are masked give zeros exactly where all steps are given."""
    if child.attrs.get("return_sequences"):
        child.attrs["zero_output_for_mask"] = True
    else:
        child.attrs.pop("zero_output_for_mask", None)


def _input(attrs: Mapping[str, Any]) -> dict[str, Any]:
    shape, dtype = attrs.get("batch_shape"), attrs.get("dtype", "float32")
    if not isinstance(shape, list | tuple) or not all(size is None or type(size) is int for size in shape):
        raise NotCoreError("its shape is not known")
    if attrs.get("sparse") or attrs.get("ragged"):
        raise NotCoreError("its tensors are sparse or ragged")
    if hasattr(dtype, "config") and isinstance(dtype.config, dict):
        dtype = dtype.config.get("name")
    if not isinstance(dtype, str):
        raise NotCoreError("its dtype is not known")
    return {"shape": list(shape), "dtype": dtype, "optional": bool(attrs.get("optional"))}


def _built_for(module: Module) -> Shape | None:
    """The shape that a layer was built for, if Keras wrote a single one down."""
    shape = module.build.get("input_shape") if isinstance(module.build, dict) else None
    plain = isinstance(shape, list | tuple) and all(size is None or type(size) is int for size in shape)
    return tuple(shape) if plain and shape is not None else None


def _shape_at(one: OutputRef, shapes: Mapping[str, Shapes], specs: Mapping[str, Any]) -> Shape | None:
    """The shape of a tensor of a graph: as Keras wrote it down, else as it follows."""
    written = specs.get(one.call, [])
    spec = written[one.index] if one.index < len(written) else None
    # An empty one is of a tensor whose shape whoever wrote the file did not know.
    if spec is not None and isinstance(spec[0], list | tuple) and spec[0]:
        return tuple(spec[0])
    listed = shapes.get(one.call, [])
    return listed[one.index] if one.index < len(listed) else None


def _first_shape(call: Call, shapes: Mapping[str, Shapes], specs: Mapping[str, Any]) -> Shape | None:
    one = next((item for item in references(call.args) if isinstance(item, OutputRef)), None)
    return None if one is None else _shape_at(one, shapes, specs)
