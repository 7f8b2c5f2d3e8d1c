"""The schemas against the library's decoders, which know nothing of each other: both accept and refuse the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui import schemas
from etui.errors import RejectError
from etui.testing import documents

INVALID = schemas.schema_directory() / "examples" / "invalid"
INDEX: dict[str, dict[str, Any]] = json.loads((INVALID / "index.json").read_text(encoding="utf-8"))
SPECIFICATION = schemas.specification_path().read_text(encoding="utf-8")
CLAUSES = dict(re.findall(r"^\*\*\[([A-Z]+-\d+)\]\*\* (.*?)(?=\n\n|\Z)", SPECIFICATION, re.MULTILINE | re.DOTALL))
CODE = re.compile(r"`([a-z]+(?:-[a-z0-9]+)+)`")
BLOCK = re.compile(r"^```json example=(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What a schema cannot say: the codes with which the library alone may refuse, each for the clauses behind it.
LIBRARY_ONLY = {
    "alias-target": "W-15: an alias is no variable's path and points to a variable",
    "call-form": "C-11: ids differ, and the module is one of the graph's",
    "call-order": "C-12: only outputs of earlier calls",
    "chunk-cover": "W-7: no gap and no overlap",
    "chunk-form": "W-6, W-8: rank, bounds and order of the boxes",
    "digest-algorithm": "H-3: the algorithms that a reader knows",
    "encoding-components": "W-17, W-20: shapes that follow from others, the dtype of zero_point",
    "module-name": "C-2: siblings differ",
    "optimizer-groups": "O-7, O-8, O-10: each variable once, slots and fresh within the groups",
    "part-collision": "P-3: names that differ in case, or continue another",
    "part-role": "P-5: shards from 1 to n",
    "path-collision": "D-4: paths that are equal after NFC",
    "reference-missing": "C-5, C-13, O-14, V-10: names of what is there",
    "requires-list": "M-4: the order of the features",
    "shared-order": "C-15: a shared module after its target",
    "tensor-name": "O-16: a tensor is named after the place of its reference",
    "tensor-unreferenced": "O-14, S-9: each tensor is referred to once",
    "value-not-canonical": "V-3, V-4: shortest digits, sorted entries of a $map",
    "value-tag": "V-6: the length of the data of a $tensor",
    "weights-order": "W-3: order counts from 0 to n - 1",
}


# The codes for clauses that name none, or that another clause comes before.
OTHER_CODES = {
    "config/call-kwargs-map-of-numbers.json": "call-form",
    "config/tensor-of-int4.json": "value-tag",
    "manifest/manifest-listed.json": "part-collision",
    "manifest/metadata-tagged.json": "value-tag",
    "manifest/version-newer-major.json": "version-unsupported",
    "weights/shape-of-33-dimensions.json": "limit-rank",
}


def weights_of(tensor: dict[str, Any]) -> dict[str, Any]:
    """The index of one variable with that tensor."""
    variable = {**tensor, "order": 0, "role": "kernel", "trainable": True}
    return {"aliases": {}, "format": "etui-weights", "variables": {"a": variable}, "version": "1.0"}


def valid_documents() -> dict[str, list[dict[str, Any]]]:
    """The examples of SPEC.md and of the schemas, by the kind of document."""
    found = {kind: list(schemas.load(kind)["examples"]) for kind in documents.KINDS}
    for kind, text in BLOCK.findall(SPECIFICATION):
        found[kind].append(json.loads(text))
    found["weights"] += [weights_of(tensor) for tensor in schemas.load("tensor")["examples"]]
    return found


VALID = valid_documents()


def refusal(kind: str, view: dict[str, Any]) -> RejectError | None:
    """The error with which the library refuses a document, or `None` if it accepts it."""
    try:
        documents.decode(kind, view)
    except RejectError as error:
        return error
    return None


def beyond_schemas(error: RejectError) -> bool:
    """Whether the library refuses for something that a schema cannot say."""
    # N-1 has no code of its own: a native document's framework is that of its folder.
    folder = error.code == "manifest-form" and "framework" in error.found
    return folder or error.error_class == "limit" or error.code in LIBRARY_ONLY


def check_agreement(kind: str, view: dict[str, Any]) -> None:
    """Fail unless schema and library agree on a document, but for what a schema cannot say."""
    faults = schemas.validate(kind, view, kind)
    error = refusal(kind, view)
    if error is None:
        assert faults == [], "the library accepts what the schema refuses"
    elif not faults:
        assert beyond_schemas(error), f"the schema accepts what the library refuses: {error}"


# What stands in for a node: each is right in some place and wrong in others.
REPLACEMENTS: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 2**53 - 1, 2**53, 0.5, "", "a", "a/b", "a//b", "../a", "a@b", "a\n", "ä"),
    *("float32", "int4", "complex64", "string", "keras:Adam", "core:Adam", "Adam", "x-note", "step", "1.0", "2.0"),
    *("weights.safetensors", "weights.json", "assets/a", "sha256:" + "0" * 64, "sha256:" + "A" * 64, "blake3:00"),
    *([], [0], [1], [-1], [0.5], ["a"], ["a", "a"], [None], [[]], [0, 0], [2**60], [1] * 33),
    *({}, {"a": 1}, {"a": {}}, {"": 1}, {"keras": {"a": 1}}, {"keras": 1}, {"Keras": {}}, {"a/b": "a/b"}),
    *({"x-a": None}, {"$$a": 1}, {"$a": 1}, {"$float": "1"}, {"$float": "0.5"}, {"$int": "5"}),
    *({"$int": "9007199254740992"}, {"$map": [[1, 2]]}, {"$stored": "a"}, {"$output": ["input", 0]}),
)
# Values, which stand in for values only.
VALUES: tuple[Any, ...] = (
    *({"$float": "nan"}, {"$int": "-9007199254740992"}, {"$int": "1" * 30}, {"$float": "1", "a": 1}),
    *({"$bytes": "AAE="}, {"$bytes": "AAE"}, {"$bytes": "AAF="}, {"$bytes": 1}),
    *({"$tuple": []}, {"$tuple": [{"$a": 1}]}, {"$tuple": 1}, {"$ellipsis": True}, {"$ellipsis": 1}),
    *({"$complex": ["1", "0.5"]}, {"$complex": ["1"]}, {"$complex": [1, 2]}, {"$complex": ["0.50", "1"]}),
    *({"$slice": [0, None, 2]}, {"$slice": []}, {"$dtype": "int8"}, {"$dtype": "int7"}),
    *({"$map": []}, {"$map": [["a", 1]]}, {"$map": [[1, 2], [1, 2]]}, {"$map": [[2, 0], [1, 0]]}, {"$map": [[[], 0]]}),
    {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [1]}},
    {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [2]}},
    {"$tensor": {"data": "AACAPw==", "dtype": "int4", "shape": [8]}},
    {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [1], "x-note": 1}},
    {"$object": {"class": "keras:Zeros", "config": {}}},
    {"$object": {"class": "keras:Zeros", "config": None, "shared": 1, "residue": {"keras": {"a": 1}}}},
    {"$object": {"class": "Zeros", "config": {}}},
    {"$object": {"class": "keras:Zeros"}},
    {"$object": {"class": "keras:Zeros", "config": {}, "shared": "1"}},
    {"$object": {"class": "keras:Zeros", "config": {}, "shared": -1}},
    {"$object": {"class": "keras:Zeros", "config": {}, "residue": {}}},
    {"$object": {"class": "keras:Zeros", "config": {}, "residue": {"Keras": {}}}},
    {"$object": {"class": "keras:Zeros", "config": {}, "x-note": 1}},
    *({"$variable": "dense/kernel"}, {"$variable": "/a"}, {"$module": "dense"}, {"$module": 1}),
    *({"$output": ["input"]}, {"$output": ["input", -1]}, {"$output": [0, 0]}),
    *({"$asset": "assets/a.txt"}, {"$asset": "config.json"}, {"$stored": 1}),
)
KEYS = ("", "a", "a//b", "colour", "x-note", "$a", "$$a", "keras", "encoding", "digest", "target")
Path = tuple[str | int, ...]


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every node of a document but the root."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def at(document: Any, path: Path) -> Any:
    """The node at a path."""
    for key in path:
        document = document[key]
    return document


def replaced(document: Any, path: Path, content: Any) -> Any:
    """A copy of a document with something else in a node's place."""
    copy = deepcopy(document)
    at(copy, path[:-1])[path[-1]] = deepcopy(content)
    return copy


def removed(document: Any, path: Path) -> Any:
    """A copy of a document without a node."""
    copy = deepcopy(document)
    del at(copy, path[:-1])[path[-1]]
    return copy


def renamed(document: Any, path: Path, key: str) -> Any:
    """A copy of a document with a node under another key; in a list, the node twice."""
    copy = deepcopy(document)
    parent = at(copy, path[:-1])
    if isinstance(parent, dict):
        parent[key] = parent.pop(path[-1])
    else:
        parent.append(deepcopy(parent[path[-1]]))
    return copy


def added(document: Any, path: Path, key: str, content: Any) -> Any:
    """A copy of a document with one more member in a map, or beside what is none."""
    copy = deepcopy(document)
    node = at(copy, path)
    parent = at(copy, path[:-1])
    if isinstance(node, dict):
        node[key] = deepcopy(content)
    elif isinstance(parent, dict):
        parent[key] = deepcopy(content)
    else:
        parent.append(deepcopy(content))
    return copy


def different_places(kind: str) -> Iterator[tuple[Any, Path]]:
    """A place for each field name and type of node in the valid documents of a kind, with its document."""
    seen = set()
    for document in VALID[kind]:
        for path in places(document):
            field = next(key for key in reversed(path) if isinstance(key, str))
            sort = (field, isinstance(path[-1], int), type(at(document, path)))
            if sort not in seen:
                seen.add(sort)
                yield document, path


def single_faults(kind: str) -> Iterator[Any]:
    """The valid documents of a kind with each change at each different place; values only in two places of values."""
    values = 2
    for document, path in different_places(kind):
        yield removed(document, path)
        for content in REPLACEMENTS:
            yield replaced(document, path, content)
        for key in KEYS:
            yield renamed(document, path, key)
            yield added(document, path, key, 1)
        if values and refusal(kind, replaced(document, path, {"$slice": [0, None, 2]})) is None:
            values -= 1
            for content in VALUES:
                yield replaced(document, path, content)


@st.composite
def mutated(draw: st.DrawFn, kind: str) -> Any:
    """A valid document of a kind with two changes anywhere."""
    document = draw(st.sampled_from(VALID[kind]))
    for _ in range(2):
        path = draw(st.sampled_from(list(places(document)) or [("version",)]))
        content, key = draw(st.sampled_from(REPLACEMENTS)), draw(st.sampled_from(KEYS))
        changes = (
            partial(removed, document, path),
            partial(replaced, document, path, content),
            partial(renamed, document, path, key),
            partial(added, document, path, key, content),
        )
        document = draw(st.sampled_from(changes))()
    return document


@pytest.mark.clause("M-1@517769", "W-1@81776a", "C-1@dd6453", "T-1@bb58c9", "O-1@219480", "R-1@3d2da9")
@pytest.mark.parametrize("kind", documents.KINDS)
def test_the_library_accepts_the_valid_examples(kind: str) -> None:
    """The library decodes each example of the schemas and of SPEC.md."""
    assert len(VALID[kind]) >= 4
    assert [refusal(kind, view) for view in VALID[kind]] == [None] * len(VALID[kind])


@pytest.mark.clause(
    "C-1@dd6453",
    "C-2@1c195b",
    "C-3@59fafa",
    "C-4@89cd45",
    "C-8@c54784",
    "C-9@2bc586",
    "C-11@695e1b",
    "C-14@f295e4",
    "C-16@f3c92d",
)
@pytest.mark.clause("D-2@f37157", "D-3@4c720b", "D-7@2d9350", "D-10@5e1f73")
@pytest.mark.clause("H-1@34f64c")
@pytest.mark.clause("J-6@c73cf7")
@pytest.mark.clause("M-1@517769", "M-2@0a4533", "M-3@f2a890", "M-4@8c62c1", "M-5@c9a52b", "M-6@b7e49c")
@pytest.mark.clause("O-1@219480", "O-2@941acb", "O-6@3df4ac", "O-7@a041bd", "O-8@1d677f", "O-12@e1282c")
@pytest.mark.clause("P-1@71c231", "P-2@0bdadc", "P-4@ffa67a")
@pytest.mark.clause("Q-1@6c153a", "Q-4@b72342", "Q-7@8e4f71", "Q-9@7835ee")
@pytest.mark.clause("R-1@3d2da9", "R-2@d02840", "R-3@f088eb")
@pytest.mark.clause("T-1@bb58c9", "T-2@1147ab", "T-3@fa1d97")
@pytest.mark.clause("V-1@a55e7e", "V-2@0ac5d0", "V-3@bc68be", "V-4@4cc66a", "V-5@f884e0", "V-7@1fd7aa")
@pytest.mark.clause(
    "W-1@81776a",
    "W-2@bf5002",
    "W-5@c142c8",
    "W-6@95679b",
    "W-10@8c40be",
    "W-12@017a0e",
    "W-16@b74fc4",
    "W-17@318438",
    "W-22@d85c62",
    "W-26@49493a",
)
@pytest.mark.parametrize("file", [file for file in sorted(INDEX) if file.split("/")[0] in {*documents.KINDS, "tensor"}])
def test_the_library_refuses_the_invalid_examples(file: str) -> None:
    """The library refuses each document that is one fault away from a valid one, with a code of the broken clause."""
    kind = file.split("/", maxsplit=1)[0]
    view = json.loads((INVALID / file).read_text(encoding="utf-8"))
    if kind == "tensor":
        kind, view = "weights", weights_of(view)
    error = refusal(kind, view)
    assert error is not None
    codes = {f"{kind}-form", *CODE.findall(CLAUSES[INDEX[file]["clause"]])}
    assert error.code in codes or error.code == OTHER_CODES.get(file)


@pytest.mark.clause(
    "M-1@517769",
    "W-1@81776a",
    "C-1@dd6453",
    "T-1@bb58c9",
    "O-1@219480",
    "R-1@3d2da9",
    "Q-7@8e4f71",
    "Q-8@c68b8b",
    "C-4@89cd45",
    "T-2@1147ab",
)
@pytest.mark.parametrize("kind", documents.KINDS)
def test_schema_and_library_agree_on_documents_with_one_fault(kind: str) -> None:
    """A document with a single change is accepted by both or refused by both, but for what a schema cannot say."""
    count = 0
    for document in single_faults(kind):
        check_agreement(kind, document)
        count += 1
    assert count > 2000


@pytest.mark.clause("M-1@517769", "W-1@81776a", "C-1@dd6453", "T-1@bb58c9", "O-1@219480", "R-1@3d2da9")
@pytest.mark.parametrize("kind", documents.KINDS)
@settings(max_examples=200)
@given(data=st.data())
def test_schema_and_library_agree_on_documents_with_two_faults(kind: str, data: st.DataObject) -> None:
    """The same holds for two changes anywhere."""
    check_agreement(kind, data.draw(mutated(kind)))
