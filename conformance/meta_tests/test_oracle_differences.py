"""Documents that were edited at random: the oracle and the reference library take the same of them."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from etui.errors import RejectError
from etui.testing import samples
from etui.testing.hostile import parts_of, tampered
from etui.verification import verify
from etui_conformance.oracle import json, msgpack, reading, values
from etui_conformance.oracle.errors import Refusal

DOCUMENTS = ("config.json", "weights.json", "training.json", "optimizer.msgpack", "state.msgpack", "manifest.json")
VALUES: list[Any] = [
    *[None, True, False, 0, 1, -1, 2**53 - 1, 0.5, "", "a", "a/b", "..", "$x", [], {}, [1], {"a": 1}],
    *[{"$int": "9007199254740992"}, {"$float": "1"}, {"$bytes": "AA=="}, {"$tuple": []}, {"$variable": "dense/kernel"}],
    *[{"$nope": 1}, "float32", "int4", "string", "1.0", "2.0", "1.1", "x-a", "keras:Dense", "core:dense", "core:nope"],
]
KEYS = ["x-q", "q", "$q", "$$q", "a/b", "\u00e9", "", "digest", "extra"]


def read(name: str, data: bytes) -> Any:
    """The JSON view of a document."""
    return json.decode(data) if name.endswith(".json") else values.view(msgpack.decode(data))


def written(name: str, tree: Any) -> bytes:
    """The document of a JSON view."""
    return json.encode(tree) if name.endswith(".json") else msgpack.encode(values.from_view(tree))


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything below a tree, but for counters, of whose names SPEC.md does not say what they may be."""
    steps = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for step in steps:
        if step != "counters":
            yield (*path, step)
            yield from places(tree[step], (*path, step))


def edit(tree: Any, chance: random.Random) -> None:
    """Change one thing in a tree."""
    found = list(places(tree))
    path, other = chance.choice(found), chance.choice(found)
    parent, taken = tree, tree
    for step in path[:-1]:
        parent = parent[step]
    for step in other:
        taken = taken[step]
    at, here = path[-1], parent[path[-1]]
    match chance.randrange(6):
        case 0:
            parent[at] = copy.deepcopy(chance.choice(VALUES))
        case 1:
            del parent[at]
        case 2 if isinstance(parent, dict):
            parent[chance.choice(KEYS)] = parent.pop(at)
        case 3 if isinstance(here, dict):
            here[chance.choice(KEYS)] = copy.deepcopy(chance.choice(VALUES))
        case 3 if isinstance(here, list):
            here.insert(chance.randrange(len(here) + 1), copy.deepcopy(chance.choice(VALUES)))
        case 4:
            parent[at] = copy.deepcopy(taken)
        case _ if isinstance(parent, list):
            parent.reverse()


def outcomes(parts: dict[str, bytes]) -> tuple[str, str]:
    """What the oracle and the reference say of an artifact: `ok`, or the code of the refusal."""
    found = []
    for judge, refusal in ((lambda: reading.read(parts, full=True), Refusal), (lambda: verify(parts), RejectError)):
        try:
            judge()
            found.append("ok")
        except refusal as trouble:
            found.append(trouble.code)
    return found[0], found[1]


@pytest.mark.clause("D-6@2ef66e", "E-1@c976f4", "E-3@78dbc9", "Q-7@8e4f71", "Q-10@7f28a5")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_edited_documents_are_taken_or_refused_alike(name: str) -> None:
    """A document with one random edit is taken by both or by neither, and most have one code."""
    chance = random.Random(name)
    base = parts_of(samples.everything())
    tally: Counter[str] = Counter()
    while tally.total() < 120:
        tree = read(name, base[name])
        edit(tree, chance)
        try:
            data = written(name, tree)
        except Refusal:
            continue
        if data == base[name]:
            continue
        ours, theirs = outcomes(tampered(base, name, lambda _, data=data: data))  # type: ignore[misc]
        assert (ours == "ok") == (theirs == "ok"), (ours, theirs, data)
        tally["taken" if ours == "ok" else "same code" if ours == theirs else "other code"] += 1
    assert tally["same code"] > 20 * tally["other code"]
    assert tally["taken"]
