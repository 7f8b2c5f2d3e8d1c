"""Where Keras 3 does not hand a carried mask on, a core graph says so by a module of its own (SPEC.md, KC-12).

A recurrent layer of Keras 3 that is given its first states takes no notice of the mask that its sequence carries. In
the vocabulary a mask that is carried counts, so that the sequence goes through a `slice` of everything, which has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from etui.bridges.keras.names import FreeNames
from etui.canonical.values import OutputRef, references
from etui.containers.config import Call, Graph, Module
from etui.core import vocabulary

_FACT = "unmasking"
_SEQUENCES = frozenset({"core:simple_rnn", "core:lstm", "core:gru", "core:bidirectional"})
_EVERYTHING = ["..."]


def is_unmasking(module: Module) -> bool:
    """Whether a module was put in by `unmask`, and not edited since."""
    return bool(
        module.residue.get("keras", {}).get(_FACT) is True
        and module.op == "core:slice"
        and module.attrs.get("index") == _EVERYTHING
    )


def carriers(graph: Graph, modules: Mapping[str, Module]) -> set[str]:
    """The calls whose result may carry a mask.

    Args:
        graph: the calls.
        modules: the called modules by name, in place of `shared` ones their targets.
    """
    found: set[str] = set()
    for call in graph.calls:
        module = modules[call.module]
        from_inputs = any(one.call in found for one in references(call.args) if isinstance(one, OutputRef))
        if not vocabulary.is_core(module):
            carries = from_inputs
        else:
            rule = vocabulary.op_of(module).mask
            carries = _makes(module) if rule == "make" else rule != "drop" and (from_inputs or "mask" in call.kwargs)
        if carries:
            found.add(call.id)
    return found


def _makes(module: Module) -> bool:
    return module.op == "core:masking" or bool(module.attrs.get("mask_zero"))


def ignores_mask(call: Call, module: Module, carrying: set[str]) -> bool:
    """Whether Keras 3 takes no notice of the mask of the sequence in a call in the terms of the vocabulary."""
    if module.op not in _SEQUENCES or call.kwargs.get("mask") is not None:
        return False
    states = len(call.args) > 1 or call.kwargs.get("initial_state") is not None
    first = call.args[0] if call.args else None
    return states and isinstance(first, OutputRef) and first.call in carrying


def unmask(found: Module, modules: Mapping[str, Module]) -> None:
    """Put a module without a mask in front of each call that takes no notice of one.

    Args:
        found: a core graph; it is changed.
        modules: its called modules by name, in place of `shared` ones their targets.
    """
    if found.graph is None:
        return
    carrying = carriers(found.graph, modules)
    names = FreeNames(child.name for child in found.modules)
    ids = FreeNames(call.id for call in found.graph.calls)
    calls: list[Call] = []
    for call in found.graph.calls:
        if ignores_mask(call, modules[call.module], carrying):
            name = names.take(f"{call.module}_unmasked")
            slicing = Call(ids.take(name), name, [call.args[0]])
            calls.append(slicing)
            residue = {"keras": {_FACT: True}}
            found.modules.append(Module(name, "layer", "core:slice", {"index": list(_EVERYTHING)}, residue=residue))
            call = replace(call, args=[OutputRef(slicing.id, 0), *call.args[1:]])  # noqa: PLW2901
        calls.append(call)
    found.graph = replace(found.graph, calls=calls)


def masked_again(module: Module) -> Module:
    """A core graph without the modules that `unmask` put in; the same object if there are none."""
    gone = {child.name for child in module.modules if is_unmasking(child)}
    if not gone or module.graph is None:
        return module
    inputs: dict[str, OutputRef] = {}
    for call in module.graph.calls:
        plain = len(call.args) == 1 and isinstance(call.args[0], OutputRef) and not call.kwargs
        if call.module in gone and plain:
            inputs[call.id] = call.args[0]
    if len(inputs) != sum(call.module in gone for call in module.graph.calls):
        return module
    calls = [
        replace(call, args=[inputs.get(one.call, one) if isinstance(one, OutputRef) else one for one in call.args])
        for call in module.graph.calls
        if call.module not in gone
    ]
    used = references([[call.args, call.kwargs] for call in calls] + [module.graph.outputs])
    if any(isinstance(one, OutputRef) and one.call in inputs for one in used):
        return module
    kept = [child for child in module.modules if child.name not in gone]
    return replace(module, modules=kept, graph=replace(module.graph, calls=calls))
