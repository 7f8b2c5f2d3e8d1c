"""From a core graph to a graph of ONNX, module by module, with the masks that tensors carry (SPEC.md, annexes J and T).

The walk is that of the reference evaluator (`etui.core.evaluate`): where it computes, this one adds nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from etui.bridges.onnx.builder import Builder
from etui.bridges.onnx.initializers import Initializers
from etui.bridges.onnx.inputs import model_input
from etui.bridges.onnx.ops.registry import Child, Mask, activation_function, definitions
from etui.bridges.onnx.value import BOOL, FLOAT, INT64, STRING, Value
from etui.canonical.values import OutputRef
from etui.containers.config import Config, Graph, Module
from etui.core import vocabulary
from etui.core.extent import check_calls
from etui.core.flows import Flow, carried, counted, leaves, marked, nested, remasked
from etui.errors import EtuiError, error, shown
from etui.model import Model
from etui.programs.facts import Spec
from etui.programs.naming import signature_of
from etui.report import Report

_GRAPHS = frozenset({"core:graph", "core:sequential"})
_DTYPES = {FLOAT: "float32", INT64: "int64", BOOL: "bool", STRING: "string"}
_WIDE = frozenset({"float16", "bfloat16", "float64"})


class Emitter:
    """One model on its way into a graph.

    Args:
        model: of the core vocabulary.
        config: the model's own.
        graph: to which everything is added.
        report: gets an entry for each module and variable.
        reasons: path of a module -> why it is not one of the core vocabulary.

    Attributes:
        graph: the graph in the making.
        initializers: the variables that it uses.
    """

    def __init__(
        self, model: Model, config: Config, graph: Builder, report: Report, reasons: Mapping[str, str] | None = None
    ) -> None:
        self.graph = graph
        self.config = config
        self.report = report
        self.initializers = Initializers(model, graph, report)
        self._told: set[str] = set()
        self._reasons = reasons or {}

    def run(self) -> tuple[list[Spec], list[Spec]]:
        """Add the whole model; its inputs and outputs, as a caller of the program sees them.

        Raises:
            TransferError: ``onnx-op``, ``onnx-shape``, ``onnx-tensor``, ``onnx-build``; the place is the module.
        """
        check_calls(self.config, "onnx-op")
        root, signature = self.config.model, signature_of(self.config)
        if root.graph is None:
            return self._alone(root)
        given: dict[OutputRef, Flow] = {}
        inputs = []
        for reference, spec in zip(leaves(root.graph.inputs), signature.inputs, strict=True):
            module, alone = self._input_of(root, root.graph, reference), len(signature.inputs) == 1
            value, seen = model_input(self.graph, spec, module, alone=alone)
            given[reference] = Flow(value)
            inputs.append(seen)
        flows = self._calls(root, root.graph, given, "", training=False)
        outputs = []
        for reference, spec in zip(leaves(root.graph.outputs), signature.outputs, strict=True):
            flow = flows.get(reference) if isinstance(reference, OutputRef) else None
            if flow is None or flow.value is None:
                raise error("onnx-op", found=f"the output {shown(spec.name)}, which no call gives")
            outputs.append(self._output(flow.value, spec.name))
        return inputs, outputs

    def _alone(self, root: Module) -> tuple[list[Spec], list[Spec]]:
        """A model without a graph, whose input is as its `build` says."""
        shape = root.build.get("input_shape") if isinstance(root.build, dict) else root.build
        if not isinstance(shape, list | tuple) or not all(size is None or type(size) is int for size in shape):
            raise error("onnx-shape", found="a model that does not say the shape of its input")
        value, seen = model_input(self.graph, Spec("input", "float32", tuple(shape)), None, alone=True)
        flows = self.module(root, [Flow(value)], {}, "", training=False)
        found = [flow.value for flow in flows if flow.value is not None]
        names = ["output"] if len(found) == 1 else [f"output_{number}" for number in range(len(found))]
        return [seen], [self._output(one, name) for one, name in zip(found, names, strict=True)]

    def _output(self, value: Value, name: str) -> Spec:
        self.graph.output(value, name)
        dtype = _DTYPES[value.kind]
        return Spec(name, dtype, tuple(size if isinstance(size, int) else None for size in value.shape))

    def _input_of(self, root: Module, graph: Graph, reference: OutputRef) -> Module | None:
        names = {call.id: call.module for call in graph.calls}
        found = next((module for module in root.modules if module.name == names.get(reference.call)), None)
        if found is not None and found.kind == "shared":
            found = self.config.find(found.target or "")
        return found

    def _reason(self, path: str, op: str) -> str:
        """Why a module is not one of the core vocabulary: its own reason, or that of a model that it lies in."""
        steps = path.split("/")
        for place in [*("/".join(steps[:end]) for end in range(len(steps), 0, -1)), self.config.model.name]:
            if place in self._reasons:
                return self._reasons[place] if place == path else f"{shown(place)}, {self._reasons[place]}"
        return f"the op {shown(op)}, which the core vocabulary does not have"

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _calls(
        self, module: Module, graph: Graph, given: Mapping[OutputRef, Flow], path: str, *, training: bool
    ) -> dict[OutputRef, Flow]:
        """Add every call of a graph whose inputs are given; the flow of each output of each call."""
        flows = dict(given)
        children = {child.name: child for child in module.modules}
        for call in graph.calls:
            if OutputRef(call.id, 0) in given:
                continue
            place = f"{path}/{call.module}" if path else call.module
            args = nested(call.args, flows.__getitem__)
            kwargs = nested(call.kwargs, flows.__getitem__)
            for index, flow in enumerate(self.module(children[call.module], args, kwargs, place, training=training)):
                flows[OutputRef(call.id, index)] = flow
        return flows

    def module(
        self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, *, training: bool
    ) -> list[Flow]:
        """The flattened outputs of one call of a module, whose tensors among the arguments are `Flow`."""
        if module.kind == "shared":
            path = module.target or ""
            module = self.config.find(path)
        where = f"{path or 'the model'} ({module.op})"
        if not vocabulary.is_core(module):
            raise error("onnx-op", where=where, found=self._reason(path, module.op))
        kwargs = dict(kwargs)
        wanted = kwargs.pop("training", None)
        training = training if wanted is None else bool(wanted)
        try:
            if module.op in _GRAPHS:
                return self._nest(module, args, kwargs, path, training=training)
            if module.op == "core:parameter":
                return [Flow(self.initializers.variable(module.params["value"]))]
            if module.op == "core:input":
                raise error("onnx-op", found="an input of a graph that its inputs do not list")
            return self._apply(module, args, kwargs, path, training=training)
        except EtuiError as fault:
            if fault.where:
                raise
            raise error(fault.code, where=where, found=fault.found, hint=fault.hint) from fault
        except (ValueError, IndexError, TypeError, KeyError, AttributeError) as fault:
            shapes = [list(flow.value.shape) for flow in _flows_in(args) if flow.value is not None]
            raise error("onnx-build", where=where, found=f"inputs of the shapes {shapes}: {fault}") from fault

    def _nest(
        self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, *, training: bool
    ) -> list[Flow]:
        """A graph that is called as a module, or a sequence of modules without one."""
        flows = remasked([self._flow(leaf) for leaf in leaves(args)], kwargs.get("mask"))
        if module.graph is None:
            if module.op != "core:sequential":
                raise error("onnx-op", found="a graph without its calls")
            for child in module.modules:
                place = f"{path}/{child.name}" if path else child.name
                flows = self.module(child, list(flows), {}, place, training=training)
            return flows
        ends = list(leaves(module.graph.inputs))
        if len(flows) != len(ends):
            names = [reference.call for reference in ends]
            raise error("onnx-op", found=f"{len(flows)} tensors for the {len(ends)} inputs {names}")
        results = self._calls(module, module.graph, dict(zip(ends, flows, strict=True)), path, training=training)
        return [results[reference] for reference in leaves(module.graph.outputs)]

    def _apply(
        self, module: Module, args: list[Any], kwargs: dict[str, Any], path: str, *, training: bool
    ) -> list[Flow]:
        """An op by its nodes."""
        name = module.op.removeprefix(vocabulary.NAMESPACE)
        entry, definition = vocabulary.op_of(module), definitions()[name]
        positional = counted(entry.inputs, args, "onnx-op")
        attrs = vocabulary.attrs_of(module)
        missing = [key for key, attr in entry.attrs.items() if attr.required and key not in attrs]
        if missing:
            raise error("onnx-op", found=f"a module without the attributes {missing}")
        self._tell(attrs, name, path)
        options = {
            key: activation_function(value) if entry.attrs[key].type == "activation" else value
            for key, value in attrs.items()
        }
        for role, variable in module.params.items():
            if role != "count":
                options[f"{role}_variable" if role in entry.attrs else role] = self.initializers.variable(variable)
        options |= {key: nested(value, lambda flow: flow.value) for key, value in kwargs.items()}
        options["training"] = training
        if definition.wraps:
            options["modules"] = {child.name: self._child(child, path, training) for child in module.modules}
        masks = carried(entry.inputs, positional)
        given = kwargs.get("mask")
        if given is not None:
            options["mask"] = self._values(given)
        elif definition.masked:
            options["mask"] = masks
        values = [self._values(value) for value in positional]
        result = definition.function(*values, **options)
        return marked(result, entry.mask, options.get("mask"), masks, masked=definition.masked)

    def _tell(self, attrs: Mapping[str, Any], name: str, path: str) -> None:
        """The entry of a module in the report; a module that is called twice has one."""
        if path in self._told:
            return
        self._told.add(path)
        dtype = (attrs.get("precision") or {}).get("compute_dtype")
        if dtype in _WIDE:
            self.report.add("module", path, "cast", f"computed in float32, not in {dtype}")
        elif attrs.get("stateful"):
            detail = "each run begins with states of zeros, as the first one of the model does"
            self.report.add("module", path, "approximated", detail)
        else:
            self.report.add("module", path, "translated", f"core:{name}")

    def _values(self, value: Any) -> Any:
        """The tensors of an input of an op, which is one or a list; a number is a tensor, too."""
        if isinstance(value, list | tuple):
            return [self._flow(one).value for one in value]
        return self._flow(value).value

    def _flow(self, leaf: Any) -> Flow:
        if isinstance(leaf, Flow):
            return leaf
        if leaf is None:
            return Flow(None)
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufOSU":
            raise error("onnx-op", found=f"{shown(leaf)} in the place of a tensor")
        return Flow(self.graph.constant(array))

    def _child(self, child: Module, path: str, training: bool) -> Child:
        """A child module as its wrapper calls it."""
        place = f"{path}/{child.name}" if path else child.name

        def call(*inputs: Any, mask: Mask = None, training: bool = training, **kwargs: Any) -> tuple[Any, Mask]:
            first, *others = inputs
            args = [Flow(first, mask), *map(Flow, others)]
            flows = self.module(child, args, {**kwargs, "training": training}, place, training=training)
            if len(flows) == 1:
                return flows[0].value, flows[0].mask
            return [flow.value for flow in flows], [flow.mask for flow in flows]

        return call


def _flows_in(args: Any) -> Iterator[Flow]:
    return (leaf for leaf in leaves(args) if isinstance(leaf, Flow))
