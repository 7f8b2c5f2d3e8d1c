"""Running a core graph in JAX: one pass, with its masks, its updates of variables and its penalties.

A `Run` lives for one call of the function, within one trace; nothing of it stays behind.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from etui.bridges.jax.nodes import Node
from etui.bridges.jax.ops.registry import Array
from etui.canonical.values import OutputRef
from etui.containers.config import Call
from etui.errors import error, shown


class Carried(NamedTuple):
    """A tensor of the graph with the mask that it carries."""

    value: Any
    mask: Any = None


@dataclass(slots=True)
class Run:
    """One pass.

    Attributes:
        variables: path -> array, of parameters and state together.
        dtype: in which everything is computed, whatever the modules say; `None` for what they say.
        key: of `jax.random`, from which each random call folds its own; `None` without randomness.
        collects: whether penalties are wanted.
        penalties: what the activity regularizers found.
        updates: path -> the new value of a variable.
    """

    variables: Mapping[str, Array]
    dtype: str | None = None
    key: Array | None = None
    collects: bool = False
    penalties: list[Array] = field(default_factory=list)
    updates: dict[str, Array] = field(default_factory=dict)

    def call(
        self, node: Node, place: str, args: list[Any], kwargs: Mapping[str, Any], *, training: bool
    ) -> tuple[Any, Any]:
        """Call a module.

        Args:
            node: the module.
            place: of the call, from which its random key follows.
            args: the inputs, values with `Carried` leaves.
            kwargs: the other arguments of the call, likewise.
            training: whether the pass trains; the call's own ``training`` overrides it.

        Returns:
            The outputs, and the mask of the first of them, or the list of their masks.
        """
        given = dict(kwargs)
        mode = _values(given.pop("training", None))
        training = training if mode is None else bool(mode)
        if node.graph is not None or node.op == "sequential":
            return self._nested(node, place, args, given, training)
        if node.definition is None:
            return self._source(node, args)
        return self._op(node, place, args, given, training)

    def _source(self, node: Node, args: list[Any]) -> tuple[Any, Any]:
        if node.op == "parameter":
            return self._cast(self._variable(node, "value"), node), None
        values = _values(args)
        if not values:
            raise error("jax-op", where=node.path, found="an input that the model does not take")
        return as_input(values[0], node.attrs.get("dtype"), self.dtype), _masks(args[0])

    def _op(self, node: Node, place: str, args: list[Any], given: dict[str, Any], training: bool) -> tuple[Any, Any]:
        definition = node.definition
        assert definition is not None  # noqa: S101  `call` has seen to the others
        values, masks = _values(args), [_masks(argument) for argument in args]
        given = _values(given)
        if definition.precise != "all":
            values, given = self._cast(values, node), self._cast(given, node)
        keywords: dict[str, Any] = {**node.attrs, "attrs": node.attrs, **given}
        for role in node.params:
            variable = self._variable(node, role)
            keywords[role] = variable if definition.precise else self._cast(variable, node)
        if node.attrs.get("stateful"):
            kept = {role: self.variables.get(state_path(node, role)) for role in ("state_h", "state_c")}
            keywords.update((role, value) for role, value in kept.items() if value is not None)
        if definition.precise:
            keywords["compute"] = self._compute(node)
        keywords.update(training=training, trainable=node.trainable, rng=self._key(place), where=place)
        if definition.masked:
            mask = masks[0] if len(masks) == 1 else masks
            keywords["mask"] = mask if given.get("mask") is None else given["mask"]
        if definition.wraps:
            keywords["modules"] = {name: Child(self, child, place, training) for name, child in node.children.items()}
            keywords["loops"] = training or self.collects
        if definition.penalises:
            keywords["penalise"] = lambda tensor: self._penalise(node, tensor)
        result = definition.function(*values, **keywords)
        if definition.updates:
            result, updates = result
            self.updates.update({node.params.get(role, state_path(node, role)): new for role, new in updates.items()})
        if definition.masked:
            outputs, mask = result
        else:
            outputs, mask = result, _kept(node, masks, given)
        if node.activity is not None and not definition.penalises:
            for output in jax.tree.leaves(outputs):
                self._penalise(node, output)
        return outputs, mask

    def _variable(self, node: Node, role: str) -> Array:
        path = node.params[role]
        if path in self.updates:
            return self.updates[path]
        if path not in self.variables:
            raise error("jax-variables", where=node.path, found=f"no variable {shown(path)}")
        return self.variables[path]

    def _penalise(self, node: Node, tensor: Any) -> None:
        """Add a tensor's penalty, for one sample of the batch."""
        if self.collects and node.activity is not None:
            penalty = node.activity(tensor)
            self.penalties.append(penalty / tensor.shape[0] if tensor.ndim else penalty)

    def _compute(self, node: Node) -> Any:
        """The dtype in which the module computes: what it says, or that of its variables; `None` if it has none."""
        name = self.dtype or node.compute
        if name is not None:
            return jax.dtypes.canonicalize_dtype(name)
        held = [self._variable(node, role) for role in node.params]
        real = [array.dtype for array in held if _is_real(array)]
        return reduce(jnp.promote_types, real, jnp.dtype(jnp.float32)) if real else None

    def _cast(self, tree: Any, node: Node) -> Any:
        """Real numbers in the module's compute dtype; where it has none, in float32 at least."""
        compute = self._compute(node)

        def cast(value: Any) -> Any:
            if not _is_real(value):
                return value
            half = jnp.finfo(value.dtype).bits < jnp.finfo(jnp.float32).bits
            wanted = compute if compute is not None else jnp.float32 if half else value.dtype
            return value.astype(wanted) if jnp.issubdtype(wanted, jnp.floating) else value

        return jax.tree.map(cast, tree)

    def _key(self, place: str) -> Array | None:
        return None if self.key is None else jax.random.fold_in(self.key, zlib.crc32(place.encode()))

    def _nested(
        self, node: Node, place: str, args: list[Any], given: Mapping[str, Any], training: bool
    ) -> tuple[Any, Any]:
        """Call a graph on its inputs in the order of the flattened nesting, or a chain."""
        carried = _leaves(args[0] if len(args) == 1 else args)
        if given.get("mask") is not None:
            carried = _remasked(node, carried, [leaf.value for leaf in _leaves(given["mask"])])
            args = list(carried)
        if node.graph is None:
            return self._chain(node, place, args, training)
        inputs = _references(node.graph.inputs)
        if len(carried) != len(inputs):
            found = f"{len(carried)} inputs for a graph that takes {len(inputs)}"
            raise error("jax-inputs", where=node.path, found=found)
        env: dict[str, list[Carried]] = {}
        bound = dict(zip(((ref.call, ref.index) for ref in inputs), carried, strict=True))
        for call in node.graph.calls:
            env[call.id] = self._one(node, place, call, bound, env, training=training)
        outputs = _resolved(node.graph.outputs, env)
        outcome = _values(outputs), _masks(outputs)
        if node.activity is not None:
            for output in jax.tree.leaves(outcome[0]):
                self._penalise(node, output)
        return outcome

    def _one(
        self,
        node: Node,
        place: str,
        call: Call,
        bound: Mapping[tuple[str, int], Carried],
        env: Mapping[str, list[Carried]],
        *,
        training: bool,
    ) -> list[Carried]:
        """The outputs of one call of a graph; those that are the graph's inputs are what was given for them."""
        given = [bound[key] for key in sorted(key for key in bound if key[0] == call.id)]
        child = node.children[call.module]
        if given and child.op != "input":
            return given
        args = [given[0]] if given else _resolved(call.args, env)
        kwargs = {} if given else _resolved(call.kwargs, env)
        inner = f"{place}/{call.id}" if place else call.id
        return carry(*self.call(child, inner, args, kwargs, training=training))

    def _chain(self, node: Node, place: str, args: list[Any], training: bool) -> tuple[Any, Any]:
        """A sequence of modules without calls: each takes what the one before gave."""
        flow: Any = args[0] if len(args) == 1 else args
        for name, child in node.children.items():
            outputs, mask = self.call(child, f"{place}/{name}" if place else name, [flow], {}, training=training)
            flow = jax.tree.unflatten(jax.tree.structure(outputs), carry(outputs, mask))
        return _values(flow), _masks(flow)


@dataclass(frozen=True, slots=True)
class Child:
    """A module inside of a wrapper, called with its inputs and their masks."""

    run: Run
    node: Node
    place: str
    training: bool

    def __call__(self, *inputs: Any, mask: Any = None, step: int | None = None, **kwargs: Any) -> tuple[Any, Any]:
        """Outputs and masks of the module.

        Args:
            inputs: as the module takes them.
            mask: of the first input.
            step: number of the call, where the wrapper calls the module more than once; then the regularizer of its
                outputs does not count, as in Keras.
            kwargs: of the call.
        """
        place, node = f"{self.place}/{self.node.path}", self.node
        if step is not None:
            place, node = f"{place}/{step}", replace(node, activity=None)
        first, *rest = inputs
        args = [Carried(first, mask), *(Carried(value) for value in rest)]
        return self.run.call(node, place, args, kwargs, training=self.training)


def state_path(node: Node, role: str) -> str:
    """Where a state that is no variable of the file is kept, such as that of a stateful recurrent module."""
    return f"{node.path}/{role}" if node.path else role


def as_input(value: Any, dtype: str | None, override: str | None) -> Any:
    """An array for an input: real numbers in the dtype that the input or the caller names, as Keras casts them."""
    if value is None:
        return None
    array = jnp.asarray(value)
    wanted = dtype
    if override is not None and (dtype is None or jnp.issubdtype(jnp.dtype(dtype), jnp.floating)):
        wanted = override
    return array if wanted is None else array.astype(jax.dtypes.canonicalize_dtype(wanted))


def carry(outputs: Any, mask: Any) -> list[Carried]:
    """The flattened outputs, each with its mask; a mask alone is that of the first."""
    leaves, masks = (jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None) for tree in (outputs, mask))
    masks += [None] * (len(leaves) - len(masks))
    return [Carried(leaf, given) for leaf, given in zip(leaves, masks, strict=False)]


def _remasked(node: Node, carried: list[Carried], masks: list[Any]) -> list[Carried]:
    """Inputs with the masks that a call gives in the place of theirs (CV-13)."""
    if len(masks) != len(carried):
        raise error("jax-inputs", where=node.path, found=f"{len(masks)} masks for {len(carried)} inputs")
    return [Carried(leaf.value, leaf.mask if mask is None else mask) for leaf, mask in zip(carried, masks, strict=True)]


def _kept(node: Node, masks: list[Any], given: Mapping[str, Any]) -> Any:
    if node.mask != "keep":
        return None
    if given.get("mask") is not None:
        return given["mask"]
    return masks[0] if masks else None


def _is_real(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)


def _map(value: Any, function: Callable[[Any], Any]) -> Any:
    """A value with each of its leaves, `Carried` ones among them, replaced."""
    if isinstance(value, list) or type(value) is tuple:
        return [_map(item, function) for item in value]
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    return function(value)


def _resolved(value: Any, env: Mapping[str, list[Carried]]) -> Any:
    return _map(value, lambda leaf: env[leaf.call][leaf.index] if isinstance(leaf, OutputRef) else leaf)


def _values(value: Any) -> Any:
    return _map(value, lambda leaf: leaf.value if isinstance(leaf, Carried) else leaf)


def _masks(value: Any) -> Any:
    return _map(value, lambda leaf: leaf.mask if isinstance(leaf, Carried) else None)


def _leaves(value: Any) -> list[Carried]:
    """The tensors of a nesting in order; the entries of a map by key."""
    if isinstance(value, Carried):
        return [value]
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in _leaves(value[key])]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [Carried(value)]


def _references(value: Any) -> list[OutputRef]:
    """The tensors that a nesting of a graph names, in the order of `_leaves`."""
    return [leaf.value for leaf in _leaves(value)]
