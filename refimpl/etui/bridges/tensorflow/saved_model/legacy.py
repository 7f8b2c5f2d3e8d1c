"""The slots of Keras' older optimizers in a SavedModel, in the order of the newer ones (SPEC.md, annex G.2)."""

from __future__ import annotations

from collections.abc import Mapping

from etui.bridges.keras.layout import VARS
from etui.bridges.keras.names import full
from etui.bridges.keras.optimizer_table import Target, algorithm_of, plan, table_name
from etui.bridges.tensorflow.legacy_optimizer import layout_paths, slot_names
from etui.bridges.tensorflow.saved_model.graph import Node
from etui.model import Model


def legacy_places(nodes: list[Node], model: Model, layout: Mapping[str, int]) -> dict[str, int]:
    """The variables of an older optimizer by the names that a newer one's have in the layout.

    Args:
        nodes: the objects.
        model: the model, read without the optimizer's state.
        layout: name in the layout -> node, of the model's variables.

    Returns:
        The iteration, and the slots where each that the optimizer should have is there; none for a newer optimizer.
    """
    at = nodes[0].children.get("optimizer")
    if at is None or "iter" not in nodes[at].children or model.optimizer is None or model.config is None:
        return {}
    found = {f"optimizer/{VARS}/0": nodes[at].children["iter"]}
    optimizer = model.optimizer.optimizers.get("optimizer")
    if optimizer is None or model.weights is None:
        return found
    name = table_name(full(optimizer.algorithm, "optimizers"))
    algorithm = algorithm_of(name, "tf_keras")
    if algorithm is None:
        return found
    slots = {(owner, slot): number for owner, slot, number in nodes[at].slots}
    owners = {owner for owner, _, _ in nodes[at].slots}
    numbers = {path: layout[name] for name, path in reversed(layout_paths(model).items()) if name in layout}
    variables = model.weights.variables
    targets = [
        Target(path, variables[path].dtype, variables[path].shape) for path in variables if numbers.get(path) in owners
    ]
    named = {neutral: own for own, neutral in slot_names(optimizer.algorithm).items()}
    heads = [nodes[at].children.get(head) for head in algorithm.head]
    listed = [
        slots.get((numbers[slot.path], named.get(slot.name, slot.name)))
        for slot in plan(name, "tf_keras", optimizer.hyperparameters, targets)
    ]
    if len(listed) != len(slots) or None in listed or None in heads:
        return found
    numbered = enumerate([*heads, *listed], 1)
    return found | {f"optimizer/{VARS}/{index}": number for index, number in numbered if number is not None}
