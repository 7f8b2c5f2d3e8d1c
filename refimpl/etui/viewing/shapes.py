"""The shapes of what goes from call to call in the graph of a module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from etui.canonical import values
from etui.containers.config import Call, Config, Module
from etui.viewing.shape_rules import Known, output_shape, plain_name, shape_of

Output = tuple[str, int]
"""A call's id, and the number of one of its outputs."""

_DEEPEST = 32
_MOST_CALLS = 200_000


class Shapes:
    """What is known of the shapes of a model.

    A shape is the one that follows from its op, where that is simple, or else the one that the reader of the tensor
    was built with. Where neither says it, it is not known.

    Args:
        config: of the model.
    """

    def __init__(self, config: Config) -> None:
        self._modules = dict(config.walk())
        self._known: dict[tuple[int, tuple[Known, ...]], list[Known]] = {}
        # Models that call models may be called a number of times that no file's size bounds.
        self._left = _MOST_CALLS

    def of_graph(self, owner: Module, inputs: Sequence[Known] = (), depth: int = 0) -> dict[Output, Known]:
        """The shapes in a module's graph, by output.

        Args:
            owner: a module of kind ``graph``.
            inputs: the shapes that the graph is called on, if they are known.
            depth: how many graphs it is nested in.
        """
        if owner.graph is None or depth > _DEEPEST:
            return {}
        found: dict[Output, Known] = dict(zip(outputs_in(owner.graph.inputs), inputs, strict=False))
        children = {module.name: module for module in owner.modules}
        uses = Counter(call.module for call in owner.graph.calls)
        for call in owner.graph.calls:
            self._left -= 1
            if self._left < 0:
                break
            module = self.definition(children[call.module])
            sources = tensors_in(call)
            if uses[call.module] == 1:
                for source, shape in zip(sources, _stated(module, len(sources)), strict=False):
                    if shape is not None and found.get(source) is None:
                        found[source] = shape
            given = [found.get(source) for source in sources]
            for index, shape in enumerate(self._outputs(module, given, depth)):
                if found.get((call.id, index)) is None:
                    found[call.id, index] = shape
        return found

    def definition(self, module: Module) -> Module:
        """The module itself, or that which it stands for."""
        return self._modules.get(module.target, module) if module.target is not None else module

    def _outputs(self, module: Module, inputs: list[Known], depth: int) -> list[Known]:
        if module.graph is not None:
            key = id(module), tuple(inputs)
            if key not in self._known:
                inner = self.of_graph(module, inputs, depth + 1)
                self._known[key] = [inner.get(reference) for reference in outputs_in(module.graph.outputs)]
            return self._known[key]
        name = plain_name(module.op)
        first = self.definition(module.modules[0]) if module.modules else None
        if name == "bidirectional" and first is not None:
            merge = module.attrs.get("merge_mode", module.attrs.get("merge", "concat"))
            one = output_shape(first.op, first.attrs, inputs)
            if one is None or merge not in ("concat", "sum", "mul", "ave"):
                return [None]
            double = None if one[-1] is None else 2 * one[-1]
            return [(*one[:-1], double) if merge == "concat" else one]
        if name == "timedistributed" and first is not None:
            x = inputs[0] if inputs else None
            if x is None or len(x) < 3:
                return [None]
            step = self._outputs(first, [(x[0], *x[2:])], depth + 1)[0]
            return [None if step is None else (step[0], x[1], *step[1:])]
        return [output_shape(module.op, module.attrs, inputs)]


def outputs_in(value: Any) -> list[Output]:
    """The outputs of calls that a value refers to, in its order."""
    return [(ref.call, ref.index) for ref in values.references(value) if isinstance(ref, values.OutputRef)]


def tensors_in(call: Call) -> list[Output]:
    """The outputs that a call takes, arguments before those with names."""
    return outputs_in([call.args, list(call.kwargs.values())])


def _stated(module: Module, count: int) -> list[Known]:
    """The shapes that a module was built for."""
    build = module.build if isinstance(module.build, Mapping) else {}
    stated = build.get("input_shape")
    one = shape_of(stated)
    if one is not None:
        return [one] if count == 1 else []
    if isinstance(stated, list | tuple) and len(stated) == count:
        return [shape_of(item) for item in stated]
    return []
