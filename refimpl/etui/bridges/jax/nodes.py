"""A core config made ready to be called in JAX: every module checked once, its attributes and variables resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.jax.objects import constraint, regularizer
from etui.bridges.jax.ops.registry import Array, Definition, activation_function, definitions
from etui.canonical.values import ObjectValue
from etui.containers.config import Config, Graph, Module
from etui.containers.weights import Weights
from etui.core.vocabulary import Op, attrs_of, ops
from etui.errors import error, shown

COMMON = ("trainable", "initializers", "regularizers", "constraints", "activity_regularizer", "precision")
GRAPHS = ("graph", "sequential")
_SOURCES = ("input", "parameter")
_NAMESPACE = "core:"
_TO_CORE = "Translate the model to the core vocabulary; what has no core equal, JAX cannot run."


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A module that can be called.

    Attributes:
        path: of the module; of a shared one, that of its target.
        op: the name without its namespace.
        attrs: the op's own attributes, defaults filled in, activations as functions.
        params: role -> path of the variable, aliases resolved.
        children: name -> node.
        graph: the calls of a graph.
        definition: how JAX computes the op; `None` of graphs and their inputs.
        mask: the vocabulary's rule for the mask of the output.
        inputs: the names of the inputs, as the vocabulary has them.
        trainable: whether training changes the module's statistics.
        compute: the dtype in which it computes, `None` where the module names none.
        activity: the regularizer of its outputs.
        regularizers, constraints: path of a variable -> function of it.
    """

    path: str
    op: str
    attrs: Mapping[str, Any]
    params: Mapping[str, str]
    children: Mapping[str, Node]
    graph: Graph | None
    definition: Definition | None
    mask: str
    inputs: tuple[str, ...]
    trainable: bool = True
    compute: str | None = None
    activity: Callable[[Array], Array] | None = None
    regularizers: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    constraints: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, each once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            stack.extend(reversed(list(node.children.values())))


def compiled(config: Config, weights: Weights | None) -> Node:
    """The root of a config as a node.

    Raises:
        TransferError: ``jax-op`` for the first module that JAX cannot run, or an object of it.
    """
    return _Compiler(weights).node(config.model, "")


class _Compiler:
    def __init__(self, weights: Weights | None) -> None:
        self.weights = weights
        self.nodes: dict[str, Node] = {}

    def node(self, module: Module, path: str) -> Node:
        if module.kind == "shared":
            return self.nodes[module.target or ""]
        where = path or module.name
        name = module.op.removeprefix(_NAMESPACE)
        known = ops()
        if not module.op.startswith(_NAMESPACE) or name not in known:
            raise error("jax-op", where=where, found=f"the op {shown(module.op)}", hint=_TO_CORE)
        prefix = f"{path}/" if path else ""
        children = {child.name: self.node(child, prefix + child.name) for child in module.modules}
        definition = definitions().get(name)
        if definition is None and name not in (*GRAPHS, *_SOURCES):
            raise error("jax-op", where=where, found=f"the op {shown(module.op)}")
        attrs = dict(attrs_of(module))
        common = {key: attrs.pop(key, None) for key in COMMON}
        _refuse_strings(name, attrs, where)
        _complete(known[name], attrs, where)
        for key, attr in known[name].attrs.items():
            if attr.type == "activation":
                attrs[key] = activation_function(attrs[key], where)
        params = {role: self.resolve(variable) for role, variable in module.params.items()}
        node = Node(
            path=path,
            op=name,
            attrs=attrs,
            params=params,
            children=children,
            graph=module.graph,
            definition=definition,
            mask=known[name].mask,
            inputs=known[name].inputs,
            trainable=common["trainable"] is not False,
            compute=(common["precision"] or {}).get("compute_dtype"),
            activity=_activity(name, attrs, common["activity_regularizer"], where),
            regularizers=_by_path(common["regularizers"], params, regularizer, where),
            constraints=_by_path(common["constraints"], params, constraint, where),
        )
        self.nodes[path] = node
        return node

    def resolve(self, path: str) -> str:
        return path if self.weights is None else self.weights.resolve(path)


def _by_path(
    objects: Mapping[str, Any] | None,
    params: Mapping[str, str],
    function: Callable[[Any, str], Callable[[Array], Array]],
    where: str,
) -> dict[str, Callable[[Array], Array]]:
    """The functions of the objects that an attribute gives by role, by path."""
    given = (objects or {}).items()
    return {params[role]: function(value, where) for role, value in given if role in params and value is not None}


def _activity(name: str, attrs: Mapping[str, Any], given: Any, where: str) -> Callable[[Array], Array] | None:
    """The regularizer of a module's outputs: `activity_regularizer`, or that which the op itself is."""
    if name == "activity_regularization":
        given = ObjectValue("core:regularizers.l1_l2", {"l1": attrs["l1"], "l2": attrs["l2"]})
    return None if given is None else regularizer(given, where)


def _complete(entry: Op, attrs: Mapping[str, Any], where: str) -> None:
    missing = [key for key, attr in entry.attrs.items() if attr.required and key not in attrs]
    if missing:
        raise error("jax-op", where=where, found=f"core:{entry.name} without {', '.join(missing)}")


def _refuse_strings(name: str, attrs: Mapping[str, Any], where: str) -> None:
    """JAX has no strings: a lookup of integers can be run, one from or to strings cannot."""
    terms = [*(attrs.get("vocabulary") or ()), attrs.get("oov_token"), attrs.get("mask_token")]
    if name == "lookup" and any(isinstance(term, str) for term in terms):
        hint = "Look the strings up before the function, and give it the indices."
        raise error("jax-op", where=where, found="a lookup of strings, which JAX does not have", hint=hint)
    if attrs.get("dtype") == "string":
        hint = "Cut the model behind its string inputs."
        raise error("jax-op", where=where, found="a tensor of strings, which JAX does not have", hint=hint)
