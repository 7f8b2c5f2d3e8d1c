"""The objects of a SavedModel: nodes, what they call each other, and the paths from the root (SPEC.md, annex G.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.errors import error, shown
from etui.storage.protobuf import Message

KERAS = "_tf_keras_"
METRIC = "_tf_keras_metric"
LISTS = ("trackable_list_wrapper", "trackable_tuple_wrapper", "trackable_dict_wrapper")
_STEPS = 2048
_KINDS = (
    "user_object",
    "asset",
    "function",
    "variable",
    "bare_concrete_function",
    "constant",
    "resource",
)


@dataclass(slots=True)
class Node:
    """One object.

    Attributes:
        kind: ``user_object``, ``variable``, ``function``, ``asset``, ``constant``, ``resource``, …
        children: name -> number of the node, in the order of the file.
        identifier: of a user object, such as ``_tf_keras_layer``.
        metadata: of a user object of TensorFlow 2.4 and before, JSON text.
        slots: of an optimizer: (variable's node, slot's name, slot's node).
        shape: of a variable, with -1 for a size that is not fixed; `None` where the rank is not.
        trainable: of a variable.
        name: of a variable, as its author or Keras called it.
        functions: of a function, the names of its concrete ones.
        operation: of a constant, the operation that makes it.
        asset: of an asset, its place in the list of assets.
    """

    kind: str = "user_object"
    children: dict[str, int] = field(default_factory=dict)
    identifier: str = ""
    metadata: bytes = b""
    slots: list[tuple[int, str, int]] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    trainable: bool = False
    name: str = ""
    functions: tuple[str, ...] = ()
    operation: str = ""
    asset: int = 0

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer or a model of Keras."""
        return self.identifier.startswith(KERAS) and self.identifier != METRIC

    @property
    def is_container(self) -> bool:
        """Whether it is a list, tuple or map of objects."""
        return self.identifier in LISTS


def read_nodes(graph: Message, where: str) -> list[Node]:
    """The nodes of a `SavedObjectGraph`; the first is the root.

    Raises:
        InvalidError: ``savedmodel-graph``, no nodes, a number of a node that is not there, or a name twice.
    """
    messages = graph["nodes"]
    if not messages:
        raise error("savedmodel-graph", where=where, found="an object graph without a root")

    def known(number: int, at: int) -> int:
        if not 0 <= number < len(messages):
            raise error("savedmodel-graph", where=f"{where}, node {at}", found=f"node {number} of {len(messages)}")
        return number

    nodes = []
    for at, message in enumerate(messages):
        node = _node(message)
        for child in message["children"]:
            name = child["local_name"]
            if name in node.children:
                raise error("savedmodel-graph", where=f"{where}, node {at}", found=f"two children {shown(name)}")
            node.children[name] = known(child["node_id"], at)
        for slot in message["slot_variables"]:
            owner = known(slot["original_variable_node_id"], at)
            node.slots.append((owner, slot["slot_name"], known(slot["slot_variable_node_id"], at)))
        nodes.append(node)
    return nodes


def _node(message: Message) -> Node:
    node = Node(next((kind for kind in _KINDS if kind in message), "other"))
    content: Any = message[node.kind] if node.kind != "other" else None
    if node.kind == "user_object":
        node.identifier, node.metadata = content["identifier"], content["metadata"]
    elif node.kind == "variable":
        node.shape, node.trainable, node.name = shape_of(content["shape"]), content["trainable"], content["name"]
    elif node.kind == "function":
        node.functions = tuple(content["concrete_functions"])
    elif node.kind == "constant":
        node.operation = content["operation"]
    elif node.kind == "asset":
        node.asset = content["asset_file_def_index"]
    return node


def shape_of(message: Any) -> tuple[int, ...] | None:
    """The shape of a `TensorShapeProto`; `None` where the rank is not known."""
    if message is None:
        return ()
    return None if message["unknown_rank"] else tuple(dim["size"] for dim in message["dim"])


def routes(nodes: list[Node]) -> dict[int, tuple[int, str]]:
    """Each node that the root reaches, nearest first, with the node before it on the shortest way and its name there.

    It is the way by which a checkpoint names a variable. A cycle is walked once; slots, which are children of no
    object, are not among them.
    """
    found: dict[int, tuple[int, str]] = {0: (0, "")}
    queue = deque([0])
    while queue:
        at = queue.popleft()
        for name, child in nodes[at].children.items():
            if child not in found:
                found[child] = (at, name)
                queue.append(child)
    return found


def way(found: Mapping[int, tuple[int, str]], at: int, where: str) -> list[str]:
    """The names that lead from the root to a node.

    Raises:
        LimitError: ``limit-path``, more names than a path can hold.
    """
    names: list[str] = []
    while at:
        at, name = found[at]
        names.append(name)
        if len(names) > _STEPS:
            raise error("limit-path", where=where, found=f"an object more than {_STEPS} names from the root")
    return names[::-1]


def members(nodes: list[Node], at: int) -> Iterator[int]:
    """The objects in a list, tuple or map, those of lists in it included, each once."""
    seen, stack = {at}, [iter(nodes[at].children.values())]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif child not in seen:
            seen.add(child)
            if nodes[child].is_container:
                stack.append(iter(nodes[child].children.values()))
            else:
                yield child
