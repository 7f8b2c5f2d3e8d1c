"""The graph of objects in a TensorFlow checkpoint: which variable is whose, by walking it (SPEC.md, annex F.3).

The tensor `_CHECKPOINTABLE_OBJECT_GRAPH` of a bundle is a TrackableObjectGraph, `protobuf/trackable_object_graph.proto`
of TensorFlow. Node 0 is the root; an edge has a local name; a node's attributes name tensors of the bundle. Keys of
tensors are looked up and never taken apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from etui import paths
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.protobuf import Field, Message, Schema, decode, encode, growing_tree

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"
# A model of ten thousand variables with their slots has fewer; more would take too long to walk.
_FIELDS, _NODES = 500_000, 200_000

CHILD = Schema("ObjectReference", {1: Field("node_id", "int32"), 2: Field("local_name", "string")})
ATTRIBUTE = Schema(
    "SerializedTensor",
    {1: Field("name", "string"), 2: Field("full_name", "string"), 3: Field("checkpoint_key", "string")},
)
SLOT = Schema(
    "SlotVariableReference",
    {
        1: Field("original_variable_node_id", "int32"),
        2: Field("slot_name", "string"),
        3: Field("slot_variable_node_id", "int32"),
    },
)
_FLAG = Schema("BoolValue", {1: Field("value", "bool")})
NODE = Schema(
    "TrackableObject",
    {
        1: Field("children", "message", repeated=True, message=CHILD),
        2: Field("attributes", "message", repeated=True, message=ATTRIBUTE),
        3: Field("slot_variables", "message", repeated=True, message=SLOT),
        5: Field("has_checkpoint_values", "message", message=_FLAG),
    },
)
GRAPH = Schema("TrackableObjectGraph", {1: Field("nodes", "message", repeated=True, message=NODE)})


@dataclass(frozen=True, slots=True)
class Attribute:
    """A tensor of an object.

    Attributes:
        name: ``VARIABLE_VALUE`` for a variable's.
        full_name: what the framework called the variable.
        key: of the tensor in the bundle, or what begins it.
    """

    name: str
    full_name: str
    key: str


@dataclass(frozen=True, slots=True)
class SlotReference:
    """A slot of a legacy optimizer: the variable's node, the slot's name, the slot's node."""

    variable: int
    name: str
    node: int


@dataclass(slots=True)
class Node:
    """An object.

    Attributes:
        children: local name -> node.
        attributes: its tensors.
        slots: of an optimizer.
    """

    children: dict[str, int] = field(default_factory=dict)
    attributes: list[Attribute] = field(default_factory=list)
    slots: list[SlotReference] = field(default_factory=list)

    @property
    def value(self) -> Attribute | None:
        """The attribute of a variable, or `None` for another object."""
        return next((one for one in self.attributes if one.name == VALUE), None)


@dataclass(slots=True)
class ObjectGraph:
    """The objects of a checkpoint, the root first."""

    nodes: list[Node] = field(default_factory=lambda: [Node()])

    def add(self, parent: int, name: str) -> int:
        """The node of a child, made if it is not there."""
        children = self.nodes[parent].children
        if name not in children:
            self.nodes.append(Node())
            children[name] = len(self.nodes) - 1
        return children[name]

    def at(self, start: int, *names: str) -> int | None:
        """The node that edges of these names lead to, or `None`."""
        node: int | None = start
        for name in names:
            node = None if node is None else self.nodes[node].children.get(name)
        return node

    def routes(self, deferred: Collection[int] = ()) -> dict[int, tuple[int, str]]:
        """Each node that the root reaches, nearest first, with the node and the edge that lead to it.

        Args:
            deferred: nodes whose children are reached through others where that is possible at all.

        Returns:
            Node -> (node before it, edge); the root leads to itself by the edge without a name. The order is that of
            a search in breadth, which is TensorFlow's.
        """
        found = {0: (0, "")}
        queue: list[int] = [0]
        later: list[int] = []
        while queue or later:
            if not queue:
                queue, later = later, []
            following: list[int] = []
            for node in queue:
                for name, child in self.nodes[node].children.items():
                    if child not in found:
                        found[child] = (node, name)
                        (later if child in deferred else following).append(child)
            queue = following
        return found

    def serialized(self) -> bytes:
        """The message."""
        return encode(Message(GRAPH, {"nodes": list(self._messages())}))

    def _messages(self) -> Iterator[Message]:
        for node in self.nodes:
            message = Message(NODE, {})
            if node.children:
                message["children"] = [
                    Message(CHILD, {"node_id": child, "local_name": name}) for name, child in node.children.items()
                ]
            if node.attributes:
                message["attributes"] = [
                    Message(ATTRIBUTE, _set(name=one.name, full_name=one.full_name, checkpoint_key=one.key))
                    for one in node.attributes
                ]
            if node.slots:
                message["slot_variables"] = [
                    Message(
                        SLOT,
                        {
                            "original_variable_node_id": slot.variable,
                            "slot_name": slot.name,
                            "slot_variable_node_id": slot.node,
                        },
                    )
                    for slot in node.slots
                ]
            yield message


def _set(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def read_object_graph(data: bytes, where: str = KEY, limits: Limits = DEFAULT_LIMITS) -> ObjectGraph:
    """The graph of a serialized message.

    Raises:
        MalformedError: ``protobuf-syntax``.
        InvalidError: ``object-graph-form``, no node, a reference to a node that is not there, or a name twice.
        LimitError: ``limit-foreign``.
    """
    bounded = replace(limits, foreign_objects=min(limits.foreign_objects, _FIELDS))
    with growing_tree():
        messages = decode(GRAPH, data, where=where, limits=bounded)["nodes"]
        if not messages:
            raise error("object-graph-form", where=where, found="no node")
        if len(messages) > _NODES:
            raise error("limit-foreign", where=where, found=f"{len(messages)} objects")
        return _graph(messages, where)


def _graph(messages: list[Message], where: str) -> ObjectGraph:
    graph = ObjectGraph([])
    for at, message in enumerate(messages):
        node = Node()
        for child in message["children"]:
            name = child["local_name"]
            if name in node.children:
                raise error("object-graph-form", where=where, found=f"node {at} with two children {shown(name)}")
            node.children[name] = _reference(child["node_id"], len(messages), at, where)
        for one in message["attributes"]:
            attribute = Attribute(one["name"], one["full_name"], one["checkpoint_key"])
            if any(attribute.name == other.name for other in node.attributes[:8]) or len(node.attributes) > 8:
                raise error("object-graph-form", where=where, found=f"node {at} with too many attributes")
            node.attributes.append(attribute)
        for slot in message["slot_variables"]:
            ends = (slot["original_variable_node_id"], slot["slot_variable_node_id"])
            one, two = (_reference(end, len(messages), at, where) for end in ends)
            node.slots.append(SlotReference(one, slot["slot_name"], two))
        graph.nodes.append(node)
    return graph


def _reference(node: int, nodes: int, at: int, where: str) -> int:
    if not 0 <= node < nodes:
        raise error("object-graph-form", where=where, found=f"node {at} that refers to node {node} of {nodes}")
    return node


def joined(path: str, name: str) -> str:
    """The path of a child by its local name."""
    segment = paths.escape_segment(name)
    return f"{path}/{segment}" if path else segment
