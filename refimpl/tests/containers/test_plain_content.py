"""Large content without a tag or a tensor: it is not walked through again for what it cannot hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui import schemas
from etui.canonical.plain import plain_nodes
from etui.canonical.tagging import JSON, MSGPACK
from etui.canonical.value_types import StoredTensor
from etui.containers import state as container
from etui.containers import stored
from etui.containers.state import State
from etui.containers.tensors import Tensor

MANY = 5_000


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.library
def test_what_is_plain_is_told_apart() -> None:
    """Lists and maps are plain that hold no tag, no reference and no number that a tag holds, on any level."""
    plain: list[Any] = [[], {}, [1, "a", None, True, 0.5], {"a": [{"b": []}]}, deep(100)]
    for one in plain:
        assert id(one) in plain_nodes(one, JSON)
        assert id(one) in plain_nodes(one, MSGPACK)
    other: list[Any] = [
        [(1,)],
        {"$tuple": [1]},
        {"$a": 1, "b": 2},
        {1: 2},
        [np.zeros(1)],
        [StoredTensor("a")],
        [2**64],
        deep(200),
    ]
    for one in other:
        assert id(one) not in plain_nodes(one, MSGPACK)
    for one in ([1.0], [2**60], [b""]):
        assert (id(one) in plain_nodes(one, JSON), id(one) in plain_nodes(one, MSGPACK)) == (False, True)
    inner = [1]
    assert plain_nodes([(1,), {"a": inner}], JSON) >= {id(inner)}


@pytest.mark.library
def test_a_circle_is_not_plain() -> None:
    """A list that holds itself is no tree, and looking at it ends."""
    circle: list[Any] = []
    circle.append(circle)
    assert id(circle) not in plain_nodes(circle, MSGPACK)


@pytest.mark.library
def test_tensors_are_named_without_a_walk_through_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of lists beside a tensor none is copied, and the tensor is found at its place."""
    copies = 0
    copy = stored._Replacing.copy

    def counted(self: Any, value: Any) -> Any:
        nonlocal copies
        copies += 1
        return copy(self, value)

    monkeypatch.setattr(stored._Replacing, "copy", counted)
    state = State(user={"many": [[[]] for _ in range(MANY)], "deep": deep(60), "here": [{"a": Tensor.of(np.zeros(1))}]})
    assert [name for name, _ in container.tensors(state)] == ["user/here/0/a"]
    assert 0 < copies < 40


@pytest.mark.library
def test_a_schema_does_not_look_into_values_without_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of lists none is checked by itself, a fault beside them is found, and so is one within them."""
    calls = 0
    validator = schemas._validator_class()
    descend = validator.descend

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return descend(self, *arguments, **options)

    monkeypatch.setattr(validator, "descend", counted)
    document: dict[str, Any] = {"format": "etui-state", "version": "1.0", "tensors": {}}
    document["user"] = {"many": [[[]] for _ in range(MANY)], "deep": deep(60), "tuple": {"$tuple": []}}
    assert schemas.validate("state", document, "x") == []
    assert 0 < calls < 200
    document["user"]["tuple"] = {"$tuple": 1}
    assert [fault.path for fault in schemas.validate("state", document, "x")] == ["/user/tuple/$tuple"]
    document["user"] = {"many": [[[]], [[{"$odd": 1}]]]}
    assert [fault.path for fault in schemas.validate("state", document, "x")] == ["/user/many/1/0/0/$odd"]
    assert schemas._plain == set()
