"""The reference evaluator: a core model run forward by the definitions of its ops (SPEC.md, annex J).

It is the oracle of the tests: the clearest code, in the dtype that it is given, and no runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from etui import dtypes
from etui.canonical.values import OutputRef
from etui.containers.config import Graph, Module
from etui.core import vocabulary
from etui.core.attribute_types import FLOAT_DTYPES
from etui.core.check import call_fault
from etui.core.extent import check_calls
from etui.core.flows import Flow, carried, counted, leaves, marked, nested, remasked
from etui.core.ops.floats import floats_of
from etui.core.ops.registry import Array, Child, Mask, activation_function, definitions
from etui.errors import EtuiError, error, shown
from etui.model import Model

_GRAPHS = frozenset({"core:graph", "core:sequential"})
_INPUT = "core:input"
_PARAMETER = "core:parameter"
_CAST = "core:cast"
# What NumPy raises where tensors do not fit together, or an argument is of another form than the op takes.
_MISFITS = (ValueError, IndexError, TypeError, KeyError, AttributeError)


def evaluate(
    model: Model,
    inputs: Any,
    *,
    training: bool = False,
    rng: np.random.Generator | None = None,
    precision: bool = False,
) -> Any:
    """Compute the outputs of a model whose ops are all core.

    Args:
        model: with config and weights.
        inputs: an array, a list of arrays in the order of the model's inputs, or a map from the names of its inputs (or
            the keys of the map in which its graph takes them) to arrays; `None` for an optional input.
        training: compute as in training: batch_norm by the statistics of the batch, dropout if there is `rng`.
        rng: where random ops draw from.
        precision: round what goes into each op and what comes out to the `compute_dtype` of its precision (CV-10). Else
            floats are computed in the dtype that inputs and variables have, those of 16 bits and fewer as float32.

    Returns:
        The outputs in the nesting of the graph's outputs. With `training`, a pair: the outputs, and a map from the path
        of each variable that the ops themselves change to its new value.

    Raises:
        InvalidError: ``core-call``, an argument of a call that its op does not have.
        TransferError: ``core-op``, an op that is not one of the vocabulary.
        UsageError: ``core-input``, an input that is missing or that the model does not have; ``core-evaluate``, tensors
            or arguments that an op cannot take, or a model of too many calls.
    """
    if model.config is None:
        raise error("core-input", found="a model without a config", hint="Open the model, not its weights alone.")
    check_calls(model.config, "core-evaluate")
    run = _Run(model, rng, precision)
    root = model.config.model
    if root.graph is not None:
        arrays = _given(root.graph, inputs)
        results, outputs = run.graph(root, arrays, "", training), root.graph.outputs
        found = nested(outputs, lambda reference: results[reference].value)
    else:
        arguments = [_tensor(one) for one in (inputs if isinstance(inputs, list | tuple) else [inputs])]
        flows = run.module(root, [Flow(array) for array in arguments], {}, "", training)
        found = flows[0].value if len(flows) == 1 else [flow.value for flow in flows]
    return (found, run.updates) if training else found


class _Run:
    """One evaluation of a model.

    Attributes:
        updates: variable path -> its new value.
    """

    def __init__(self, model: Model, rng: np.random.Generator | None, precision: bool) -> None:
        self.model = model
        self.rng = rng
        self.precision = precision
        self.updates: dict[str, Array] = {}

    def graph(
        self, module: Module, given: Mapping[OutputRef, Flow], path: str, training: bool
    ) -> dict[OutputRef, Flow]:
        """Make every call of a graph whose inputs are given; the flow of each output of each call."""
        graph = module.graph
        if graph is None:
            raise error("core-evaluate", where=path, found=f"the module {module.op} without a graph")
        flows = dict(given)
        children = {child.name: child for child in module.modules}
        for call in graph.calls:
            if OutputRef(call.id, 0) in given:
                continue
            place = f"{path}/{call.module}" if path else call.module
            args = nested(call.args, flows.__getitem__)
            kwargs = nested(call.kwargs, flows.__getitem__)
            for index, flow in enumerate(self.module(children[call.module], args, kwargs, place, training)):
                flows[OutputRef(call.id, index)] = flow
        return flows

    def module(self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, training: bool) -> list[Flow]:
        """The flattened outputs of one call of a module, whose tensors among the arguments are `Flow`."""
        if module.kind == "shared":
            path = module.target or ""
            module = self.config.find(path)
        where = f"{path or 'the model'} ({module.op})"
        if not vocabulary.is_core(module):
            raise error("core-op", where=where, found=shown(module.op))
        fault = call_fault(vocabulary.op_of(module), kwargs)
        if fault:
            raise error("core-call", where=where, found=fault)
        kwargs = dict(kwargs)
        wanted = kwargs.pop("training", None)
        training = training if wanted is None else wanted
        try:
            if module.op in _GRAPHS:
                return self._nest(module, args, kwargs, path, training)
            if module.op == _PARAMETER:
                return [Flow(self.variables(module)["value"])]
            if module.op == _INPUT:
                raise error("core-input", where=where, found="an input of a graph that its inputs do not list")
            return self._apply(module, args, kwargs, path, training)
        except EtuiError as trouble:
            if trouble.where:
                raise
            raise error(trouble.code, where=where, found=trouble.found, hint=trouble.hint) from trouble
        except _MISFITS as trouble:
            shapes = [list(flow.value.shape) for flow in leaves(args) if isinstance(flow, Flow)]
            raise error("core-evaluate", where=where, found=f"inputs of the shapes {shapes}: {trouble}") from trouble

    @property
    def config(self) -> Any:
        """The config of the model, which `evaluate` has seen to be there."""
        return self.model.config

    def variables(self, module: Module) -> dict[str, Array]:
        """The variables of a module by role, as the calls so far have left them."""
        weights = self.model.weights
        found = {}
        for role, path in module.params.items():
            if weights is None or path not in weights:
                raise error("core-evaluate", found=f"no variable {shown(path)}", hint="Give the model its weights.")
            variable = weights.resolve(path)
            found[role] = self.updates[variable] if variable in self.updates else _tensor(weights[path].numpy())
        return found

    def _nest(self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, training: bool) -> list[Flow]:
        """A graph that is called as a module, or a sequence of modules without one."""
        flows = remasked(list(_flows(args)), kwargs.get("mask"))
        if module.graph is None:
            if module.op != "core:sequential":
                raise error("core-evaluate", found="a graph without its calls")
            for child in module.modules:
                place = f"{path}/{child.name}" if path else child.name
                flows = self.module(child, list(flows), {}, place, training)
            return flows
        ends = list(leaves(module.graph.inputs))
        if len(flows) != len(ends):
            names = [reference.call for reference in ends]
            raise error("core-input", found=f"{len(flows)} tensors for the {len(ends)} inputs {names}")
        results = self.graph(module, dict(zip(ends, flows, strict=True)), path, training)
        return [results[reference] for reference in leaves(module.graph.outputs)]

    def _apply(self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, training: bool) -> list[Flow]:
        """An op by its definition."""
        entry, definition = vocabulary.op_of(module), definitions()[module.op.removeprefix(vocabulary.NAMESPACE)]
        positional = counted(entry.inputs, args, "core-evaluate")
        attrs = vocabulary.attrs_of(module)
        missing = [name for name, attr in entry.attrs.items() if attr.required and name not in attrs]
        if missing:
            raise error("core-evaluate", found=f"a module without the attributes {missing}")
        options: dict[str, Any] = {name: _resolved(entry.attrs[name], value) for name, value in attrs.items()}
        dtype = (attrs["precision"] or {}).get("compute_dtype", "float32") if self.precision else ""
        for role, value in self.variables(module).items():
            options[f"{role}_variable" if role in entry.attrs else role] = _tensor(_rounded(value, dtype))
        options |= {name: nested(value, lambda flow: flow.value) for name, value in kwargs.items()}
        options |= {"training": training, "rng": self.rng}
        if definition.wraps:
            options["modules"] = {child.name: self._child(child, path, training) for child in module.modules}
        masks = carried(entry.inputs, positional)
        if definition.masked:
            mask = kwargs.get("mask")
            options["mask"] = masks if mask is None else nested(mask, lambda flow: flow.value)
        arrays = [nested(value, lambda flow: _tensor(_rounded(flow.value, dtype))) for value in positional]
        # What is narrower than float32 is computed in it, and rounded behind the op.
        with floats_of("float64" if dtype == "float64" else "float32"):
            result = definition.function(*arrays, **options)
        if definition.updates:
            result, updates = result
            for role, value in updates.items():
                self._update(module.params[role], value)
        flows = marked(result, entry.mask, options.get("mask"), masks, masked=definition.masked)
        own = dtype and attrs["dtype"] if module.op == _CAST else dtype
        return [Flow(_rounded(np.asarray(flow.value), own), flow.mask) for flow in flows]

    def _update(self, path: str, value: Array) -> None:
        """Keep the new value of a variable, with `precision` in the variable's own dtype."""
        weights = self.model.weights
        if weights is not None:
            path = weights.resolve(path)
            value = value.astype(weights[path].numpy().dtype) if self.precision else value
        self.updates[path] = value

    def _child(self, child: Module, path: str, training: bool) -> Child:
        """A child module as its wrapper calls it."""
        place = f"{path}/{child.name}" if path else child.name

        def call(*inputs: Any, mask: Mask = None, training: bool = training, **kwargs: Any) -> tuple[Any, Mask]:
            first, *others = inputs
            args = [Flow(first, mask), *(nested(one, Flow) for one in others)]
            flows = self.module(child, args, {**kwargs, "training": training}, place, training)
            if len(flows) == 1:
                return flows[0].value, flows[0].mask
            return [flow.value for flow in flows], [flow.mask for flow in flows]

        return call


def _given(graph: Graph, inputs: Any) -> dict[OutputRef, Flow]:
    """The flow of each input of the model's graph."""
    ends = list(leaves(graph.inputs))
    names = [reference.call for reference in ends]
    if isinstance(inputs, Mapping):
        keys = sorted(graph.inputs) if isinstance(graph.inputs, dict) else names
        known = keys if set(inputs) <= set(keys) and len(keys) == len(names) else names
        if set(inputs) != set(known):
            raise error("core-input", found=f"the inputs {sorted(map(str, inputs))}, not {sorted(known)}")
        arrays = [inputs[name] for name in known]
    else:
        arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if len(arrays) != len(names):
            raise error("core-input", found=f"{len(arrays)} inputs, not the {len(names)} {names}")
    return {leaf: Flow(_tensor(one)) for leaf, one in zip(ends, arrays, strict=True)}


def _resolved(attr: vocabulary.Attr, value: Any) -> Any:
    return activation_function(value) if attr.type == "activation" else value


def _tensor(value: Any) -> Any:
    """An array; floats of 16 bits and fewer as float32, and null as it is."""
    if value is None:
        return None
    array = np.asarray(value)
    narrow = array.dtype.itemsize <= 2 and array.dtype.kind not in "biuOSU"
    return array.astype(np.float32) if narrow else array


def _rounded(value: Any, dtype: str) -> Any:
    """An array of floats in a dtype; as it is where none is named."""
    if not dtype or not isinstance(value, np.ndarray) or value.dtype.name not in FLOAT_DTYPES:
        return value
    return value.astype(dtypes.by_name(dtype, "precision").numpy)


def _flows(value: Any) -> Iterator[Flow]:
    """The tensors of a structure, in the same order; a number is one, and null an optional one that is not given."""
    for leaf in leaves(value):
        yield leaf if isinstance(leaf, Flow) else Flow(_tensor(leaf))
