"""Single core modules in the terms of Keras, without their children and without residue (SPEC.md, annex L.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from etui.bridges.keras.config_write import chain
from etui.bridges.keras.core.calls import lower_call
from etui.bridges.keras.core.composed import lowered
from etui.bridges.keras.core.objects import default_initializer, lower_object, lower_policy
from etui.bridges.keras.core.rules import ANY, Attrs, NotKerasError, Rule, Shape, Signature
from etui.bridges.keras.core.shapes import Shapes, graph_shapes, output_shapes
from etui.bridges.keras.core.table import by_op, rule_of
from etui.bridges.keras.core.unmasking import masked_again
from etui.bridges.keras.modules import join
from etui.bridges.keras.names import is_operation
from etui.canonical.values import ModuleRef, OutputRef, references
from etui.containers.config import Call, Graph, Module
from etui.core import vocabulary

KINDS = ("initializer", "regularizer", "constraint")
MODEL = Signature(("inputs", "training", "mask"))
# Children of wrappers: name in the core vocabulary -> in Keras' namespace.
CHILDREN = {
    "core:bidirectional": {"forward": "forward_layer", "backward": "backward_layer"},
    "core:time_distributed": {"layer": "layer"},
}
_HELD = {"forward": "layer", "backward": "backward_layer", "layer": "layer"}
# The groups of the layers that a GroupQueryAttention makes have a private attribute's name.
_PRIVATE = frozenset({"GroupQueryAttention"})


@dataclass(frozen=True, slots=True)
class Shells:
    """Puts single modules in the terms of Keras.

    Attributes:
        find: gives the core module at a path, for `shared` ones.
    """

    find: Callable[[str], Module]

    def resolved(self, module: Module) -> Module:
        """The module itself, or the one that a `shared` module stands for."""
        return self.find(module.target) if module.target is not None else module

    def shell(self, module: Module, path: str, shape: Shape | None) -> Module:
        """A module of Keras; children that are core modules themselves stand in it by name and kind alone.

        Args:
            module: of the vocabulary.
            path: of the module among those of Keras.
            shape: of its input, if it is known.

        Raises:
            NotKerasError: Keras has no such layer.
        """
        name = module.op.removeprefix(vocabulary.NAMESPACE)
        others = {key: facts for key, facts in module.residue.items() if key != "keras"}
        found = Module(module.name, "layer", residue=others, extra=dict(module.extra))
        if name == "input":
            found.op, found.attrs = "keras:InputLayer", _input(vocabulary.attrs_of(module))
        elif (composed := lowered(module)) is not None:
            found.op, found.attrs = composed
        elif name in ("graph", "sequential"):
            self._model(module, found)
        else:
            self._layer(module, found, path, shape)
        return found

    # --- layers -------------------------------------------------------------------------------------------------------

    def rule(self, module: Module, shape: Shape | None) -> Rule:
        """The rule by which a module is put in Keras' terms: that of the class that it comes from, if that fits.

        Raises:
            NotKerasError: none fits.
        """
        attrs = vocabulary.attrs_of(module)
        rules = by_op().get(module.op.removeprefix(vocabulary.NAMESPACE), ())
        hint = module.residue.get("keras", {}).get("op")
        own = rule_of(hint) if isinstance(hint, str) else None
        rank = None if shape is None else len(shape)
        if own is not None and own in rules and _says(own, attrs, None):
            return own
        fitting = [rule for rule in rules if _says(rule, attrs, rank)]
        if not fitting:
            raise NotKerasError(f"Keras has no layer for {module.op} with these attributes")
        if rank is None and len(fitting) > 1 and all(rule.ranks for rule in fitting):
            raise NotKerasError(f"the number of axes of the input of {module.op} is not known")
        return fitting[0]

    def _layer(self, module: Module, found: Module, path: str, shape: Shape | None) -> None:
        rule = self.rule(module, shape)
        core = vocabulary.attrs_of(module)
        found.op = f"keras:{rule.keras}"
        attrs: Attrs = {} if rule.plain else {"trainable": core["trainable"], "dtype": lower_policy(core["precision"])}
        if not rule.flagged:
            del attrs["trainable"]
        for attr in rule.attrs:
            attrs[attr.key] = attr.lower(core[attr.name], core)
        for role, prefix in rule.roles.items():
            for kind in KINDS:
                key = f"{prefix}_{kind}"
                if key not in rule.lacks and f"{role}_{kind}" not in rule.lacks:
                    attrs.setdefault(key, _of_role(core, role, kind))
        for key, idle in rule.idle.items():
            if idle.emit is not ANY:
                attrs[key] = idle.emit
        activity = lower_object("regularizers", core["activity_regularizer"])
        if rule.activity or activity is not None:
            attrs["activity_regularizer"] = activity
        if rule.back is not None:
            rule.back(attrs, core, None if shape is None else len(shape))
        found.attrs = attrs
        self._variables(module, found, rule)
        for child in module.modules:
            name = CHILDREN.get(module.op, {}).get(child.name, child.name)
            found.modules.append(Module(name))
            if child.name in _HELD:
                found.attrs[_HELD[child.name]] = ModuleRef(join(path, name))

    def _variables(self, module: Module, found: Module, rule: Rule) -> None:
        """Variables go to the layers that Keras' layer makes by itself, where it keeps them there."""
        for name, kind in sorted(rule.children.items()):
            params = {
                own: module.params[role]
                for role, (child, own) in rule.homes.items()
                if child == name and role in module.params
            }
            if params:
                group = {"keras": {"group": f"_{name}"}} if rule.keras in _PRIVATE else {}
                found.modules.append(Module(name, "layer", f"keras:{kind}", params=params, residue=group))
        homes = {role: own for role, (child, own) in rule.homes.items() if not child}
        found.params = {
            homes.get(role, role): path
            for role, path in module.params.items()
            if role in homes or role not in rule.homes
        }

    # --- models -------------------------------------------------------------------------------------------------------

    def _model(self, module: Module, found: Module) -> None:
        module = masked_again(module)
        core = vocabulary.attrs_of(module)
        found.params = dict(module.params)
        found.modules = [Module(child.name) for child in module.modules]
        children = {child.name: self.resolved(child) for child in module.modules}
        shapes = self.shapes(module, [])
        found.attrs = {"trainable": core["trainable"]}
        sequence = self._chain(module, children, shapes) if module.op == "core:sequential" else None
        is_sequence = module.op == "core:sequential" and (module.graph is None or sequence is not None)
        found.op = "keras:Sequential" if is_sequence else "keras:Functional"
        if sequence is not None:
            found.kind, found.graph = "graph", sequence
        elif module.graph is not None:
            found.kind = "graph"
            calls = [self._call(call, children[call.module], _first(call, shapes)) for call in module.graph.calls]
            found.graph = Graph(module.graph.inputs, module.graph.outputs, calls, dict(module.graph.extra))
        elif module.build is not None:
            found.build = module.build
            built = module.build.get("input_shape") if isinstance(module.build, dict) else None
            if built is not None:
                found.attrs["build_input_shape"] = built

    def _chain(self, module: Module, children: Mapping[str, Module], shapes: Mapping[str, Shapes]) -> Graph | None:
        """The graph of a Sequential model of Keras, if a sequential core model is one, without operations in it."""
        named = replace(module, op="keras:Sequential", modules=[replace(c, op="", residue={}) for c in module.modules])
        named.modules[:1] = [replace(one, op="keras:InputLayer") for one in named.modules[:1]]
        wanted, graph = chain(named), module.graph
        if wanted is None or graph is None or any(self._is_operation(call, children, shapes) for call in graph.calls):
            return None
        names = {call.id: call.module for call in graph.calls}

        def by_name(value: Any) -> Any:
            return OutputRef(names[value.call], value.index) if isinstance(value, OutputRef) else value

        calls = [(call.module, list(map(by_name, call.args)), call.kwargs) for call in graph.calls]
        ends = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in (graph.inputs, graph.outputs)]
        if calls != [(call.module, call.args, {}) for call in wanted.calls]:
            return None
        return wanted if list(map(by_name, ends)) == [wanted.inputs, wanted.outputs] else None

    def _is_operation(self, call: Call, children: Mapping[str, Module], shapes: Mapping[str, Shapes]) -> bool:
        child = children[call.module]
        if not vocabulary.is_core(child):
            return is_operation(child.op)
        rule = self._known_rule(child, _first(call, shapes))
        return rule is not None and rule.plain

    def _known_rule(self, child: Module, shape: Shape | None) -> Rule | None:
        """The rule of a module that is no model and no input, if one fits."""
        if child.op in ("core:input", "core:graph", "core:sequential"):
            return None
        try:
            return self.rule(child, shape)
        except NotKerasError:
            return None

    def shapes(self, module: Module, inputs: Shapes) -> dict[str, Shapes]:
        """The shapes of what each call of a model gives; empty where it has no graph."""
        if module.graph is None:
            return {}
        children = {child.name: self.resolved(child) for child in module.modules}
        return graph_shapes(module.graph, children, inputs)

    def child_shapes(self, module: Module, shape: Shape | None) -> dict[str, Shape | None]:
        """The shape of the first input of each child, by the child's name."""
        if module.op == "core:time_distributed":
            inner = None if shape is None else (shape[0], *shape[2:])
            return {child.name: inner for child in module.modules}
        if module.graph is not None:
            shapes = self.shapes(module, [] if shape is None else [shape])
            found: dict[str, Shape | None] = {}
            for call in module.graph.calls:
                found.setdefault(call.module, _first(call, shapes))
            return found
        known: dict[str, Shape | None] = {}
        sequential = module.op == "core:sequential"
        built = module.build.get("input_shape") if isinstance(module.build, dict) else None
        at = tuple(built) if shape is None and sequential and isinstance(built, list | tuple) else shape
        for child in module.modules:
            known[child.name] = at
            if sequential:
                at = next(iter(output_shapes(self.resolved(child), [at])), None)
        return known

    def _call(self, call: Call, child: Module, shape: Shape | None) -> Call:
        if not vocabulary.is_core(child) or child.op == "core:input":
            return replace(call)
        attrs = vocabulary.attrs_of(child)
        signature = MODEL
        if child.op not in ("core:graph", "core:sequential"):
            rule = self._known_rule(child, shape)
            if rule is None:
                return replace(call)
            signature = rule.signature
        attrs = _keyed(attrs, child)
        found = lower_call(call.args, call.kwargs, signature, attrs)
        return Call(call.id, call.module, found.args, found.kwargs, dict(call.extra))


def _keyed(attrs: dict[str, Any], child: Module) -> dict[str, Any]:
    from etui.bridges.keras.core.table_operation_shapes import index_key

    return attrs | {"index": index_key(attrs["index"])} if child.op == "core:slice" else attrs


def _first(call: Call, shapes: Mapping[str, Shapes]) -> Shape | None:
    """The shape of the first tensor that a call is given."""
    one = next((item for item in references(call.args) if isinstance(item, OutputRef)), None)
    listed = shapes.get(one.call, []) if one is not None else []
    return listed[one.index] if one is not None and one.index < len(listed) else None


def _says(rule: Rule, attrs: Mapping[str, Any], rank: int | None) -> bool:
    if rank is not None and rule.ranks and rank not in rule.ranks:
        return False
    if any(attrs.get(name) != value for name, value in rule.fixed.items()):
        return False
    return bool(rule.fits(attrs))


def _of_role(core: Mapping[str, Any], role: str, kind: str) -> Any:
    found = core[f"{kind}s"].get(role)
    if found is None and kind == "initializer":
        found = default_initializer(role)
    return lower_object(f"{kind}s", found)


def _input(core: Mapping[str, Any]) -> Attrs:
    attrs = {"batch_shape": list(core["shape"]), "dtype": core["dtype"], "sparse": False, "ragged": False}
    return attrs | {"optional": core["optional"]}
