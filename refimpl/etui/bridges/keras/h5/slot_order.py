"""For which variables an optimizer in a legacy HDF5 file has slots, and in which order (SPEC.md, annex C)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from etui.bridges.keras.content import Stored
from etui.bridges.keras.h5.match import Matched, plain_name
from etui.bridges.keras.names import class_of
from etui.bridges.keras.optimizer_table import Target, algorithm_of, plan, table_name
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import is_object

# Keras of these versions, both included, sorted the variables by their names for the optimizer. Files without a version
# are older.
_SORTED = ((1, 1, 2), (2, 0, 5))
_NUMBERS = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


def by_name(matched: Matched, names: Iterable[str]) -> list[str]:
    """The names in the layout of the variables that an optimizer has slots for, as the names of the slots say.

    tf_keras names a slot after its variable: `Adam/m/dense/kernel:0`, and before `Adam/dense/kernel/m:0`.

    Returns:
        Each variable once, in the order of the slots; nothing where a name tells no variable, or several.
    """
    found: dict[str, None] = {}
    for name in list(names)[1:]:
        steps = plain_name(name).split("/")
        runs = [steps[start:end] for start in range(len(steps)) for end in (len(steps), len(steps) - 1) if end > start]
        known = [run for run in map("/".join, runs) if run in matched.names]
        layout = matched.names[max(known, key=len)] if known else None
        if layout is None:
            return []
        found[layout] = None
    return list(found)


def by_sorting(matched: Matched, optimizer: Mapping[str, Stored], node: Json, version: str | None) -> list[str]:
    """The names in the layout of the trainable variables by their stored names, if the version sorted them so.

    Args:
        matched: the arrays of the layers.
        optimizer: those of the optimizer, by their names in the layout, the iteration first.
        node: the optimizer in `compile_config`.
        version: of the file.

    Returns:
        The variables; nothing where the version did not sort them, or the slots have other dtypes or shapes.
    """
    if not _sorts(version) or not is_object(node) or not isinstance(node["config"], dict):
        return []
    name = table_name(class_of(node.get("module"), node["class_name"], node.get("registered_name")))
    algorithm = algorithm_of(name, "tf_keras")
    if algorithm is None:
        return []
    listed = list(optimizer.values())[1 + len(algorithm.head) :]
    kinds = [(array.dtype, array.shape) for array in listed]
    found = [layout for _, layout in sorted(matched.trainable.items())]
    targets = [Target(layout, matched.datasets[layout].dtype, matched.datasets[layout].shape) for layout in found]
    planned = plan(name, "tf_keras", node["config"], targets)
    return found if kinds and [(slot.dtype, slot.shape) for slot in planned] == kinds else []


def _sorts(version: str | None) -> bool:
    numbers = _NUMBERS.match(version or "")
    return numbers is not None and _SORTED[0] <= tuple(map(int, numbers.groups())) <= _SORTED[1]
