"""The strategies: what they draw is valid by the oracle and for the reference library, and nothing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from etui_conformance.adapters import reference
from etui_conformance.checks.exchange import about_parts, check_content, same
from etui_conformance.oracle import content as oracle_content
from etui_conformance.oracle import reading, values, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.manifest import FEATURES
from etui_conformance.oracle.values import tag_of
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.strategies import (
    EVERYTHING,
    Scope,
    artifacts,
    boxes,
    layouts,
    optimizer_documents,
    part_names,
    paths,
    state_documents,
    tensors,
    training_documents,
)
from etui_conformance.strategies import values as drawn_values
from etui_conformance.strategies.mutations import mutations
from etui_conformance.strategies.names import is_path, without_collisions
from etui_conformance.strategies.scope import AREAS, DTYPES
from etui_conformance.strategies.tensors import box_of
from etui_conformance.strategies.values import Names

Content = dict[str, Any]
PLAIN = Scope(frozenset({"weights"}), frozenset(), frozenset({"float32", "int8", "bool", "bfloat16"}))


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same examples of a strategy each time."""
    found: list[Any] = []

    @hypothesis.seed(5)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found


@pytest.fixture(scope="module")
def contents() -> list[Content]:
    return examples(artifacts(), 150)


@pytest.fixture(scope="module")
def cut() -> list[dict[str, bytes]]:
    return examples(layouts(), 40)


@pytest.fixture
def session(tmp_path: Path) -> InProcess:
    return InProcess(reference.start, tmp_path)


@pytest.mark.clause("CF-52@5afbae")
def test_contents_are_valid(contents: list[Content]) -> None:
    """The oracle writes every content that is drawn, and reads it back as it was."""
    for content in contents:
        found = reading.read(writing.write(content), full=True)
        for field in {*content, *found} - {"tensors"}:
            assert same(found.get(field), content.get(field)), field
        for area, drawn in content["tensors"].items():
            assert {name: without_data(one) for name, one in found["tensors"][area].items()} == drawn
    assert len(contents) > 100


def without_data(tensor: Content) -> Content:
    """A tensor without what is computed for a quantized one."""
    return {key: value for key, value in tensor.items() if key != "data" or "components" not in tensor}


@pytest.mark.clause("CF-52@5afbae")
def test_the_reference_accepts_contents(contents: list[Content], session: InProcess) -> None:
    """The reference library reads every content that is drawn, and finds nothing wrong with it."""
    for index, content in enumerate(contents[::5]):
        parts = writing.write(content)
        question = about_parts(session, "decode", parts, ("packed", "directory")[index % 2], want="all")
        check_content(question, question.accepted(), reading.read(parts), frozenset(AREAS))
        about_parts(session, "validate", parts, "packed").accepted()
    assert index > 20


@pytest.mark.clause("CF-52@5afbae")
def test_layouts_are_valid(cut: list[dict[str, bytes]], session: InProcess) -> None:
    """Oracle and reference accept every layout that is drawn, and both put together what the chunks hold."""
    for index, parts in enumerate(cut):
        expected = reading.read(parts, full=True)
        question = about_parts(session, "decode", parts, ("packed", "directory")[index % 2], want="all")
        check_content(question, question.accepted(), expected, frozenset(AREAS))
    assert index > 30


@pytest.mark.library
def test_every_kind_is_drawn(contents: list[Content], cut: list[dict[str, bytes]]) -> None:
    """Profiles, dtypes, features, kinds of modules, tags of values and fields of documents all come up."""
    assert {content["profile"] for content in contents} == {"config", "weights", "model", "training", "checkpoint"}
    drawn = [tensor for content in contents for found in content["tensors"].values() for tensor in found.values()]
    assert {tensor["dtype"] for tensor in [*drawn, *examples(tensors(), 600)]} == set(DTYPES)
    manifests = [reading.Artifact(parts).manifest.tree for parts in [*cut, *map(writing.write, contents)]]
    assert {feature for tree in manifests for feature in tree["requires"]} == set(FEATURES)
    ranks = Counter(len(tensor["shape"]) for tensor in drawn)
    assert ranks.keys() >= {0, 1, 2, 3, 32}
    assert any(0 in tensor["shape"] for tensor in drawn)
    assert {module["kind"] for content in contents for module in modules(content)} == {
        "layer",
        "graph",
        "opaque",
        "shared",
    }
    roles = {part["role"] for content in contents for part in content.get("parts", {}).values()}
    assert roles == {"asset", "program", "native"}
    assert any(content["weights"]["aliases"] for content in contents if "weights" in content)
    assert any(next(iter(tree["version"])) == "1" and tree["version"] != "1.0" for tree in manifests)


@pytest.mark.library
def test_every_field_is_drawn() -> None:
    """Every optional field of the documents for training comes up."""
    optimizers = [one.document["optimizers"].values() for one in examples(optimizer_documents(), 200)]
    assert {field for found in optimizers for one in found for field in one} >= {
        *("fresh", "groups", "hyperparameters", "inner", "residue", "schedule", "schedule_clock"),
        *("shared_slots", "slots"),
    }
    states = {field for one in examples(state_documents(), 150) for field in one.document}
    assert states >= {"counters", "rng", "metrics", "data", "user", "residue"}
    training = {field for one in examples(training_documents(), 200) for field in one}
    assert training >= {
        *("loss", "loss_weights", "metrics", "weighted_metrics", "added_losses", "precision", "options", "residue"),
        *("sample_weighting", "class_weighting"),
    }


def modules(content: Content) -> Iterator[Content]:
    """Every module of the config."""
    stack = [content["config"]["model"]] if "config" in content else []
    while stack:
        module = stack.pop()
        yield module
        stack += module.get("modules", [])


@pytest.mark.library
def test_every_value_is_drawn() -> None:
    """Every tag of chapter 5, and every bare type, comes up among values; all of them pass the oracle's checks."""
    names = Names(("a/kernel",), ("a",), ("assets/a",), ("call",), stored=False)
    seen: Counter[str] = Counter()

    def visit(value: Any) -> None:
        tag = tag_of(value)
        seen[tag or type(value).__name__] += 1
        if isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, list):
            for item in value:
                visit(item)

    for value in examples(drawn_values(names, depth=3), 600):
        values.check(value)
        visit(value)
    tags = "$int $float $bytes $tuple $complex $slice $ellipsis $dtype $tensor $map $object"
    tags += " $variable $module $output $asset"
    assert not [
        kind for kind in [*tags.split(), "NoneType", "bool", "int", "float", "str", "list", "dict"] if not seen[kind]
    ]


@pytest.mark.library
def test_unusual_bits_are_drawn() -> None:
    """NaN payloads, signed zeros and subnormals come up among the elements of floats."""
    seen: set[str] = set()
    for tensor in examples(tensors(Scope(dtypes=frozenset({"float32"}), features=frozenset())), 100):
        bits = {int.from_bytes(tensor["data"][at : at + 4], "little") for at in range(0, len(tensor["data"]), 4)}
        seen |= {"-0"} if 0x80000000 in bits else set()
        seen |= {"subnormal"} if any(0 < one & 0x7FFFFFFF < 0x00800000 for one in bits) else set()
        seen |= {"payload"} if any(one & 0x7F800000 == 0x7F800000 and one & 0x3FFFFF for one in bits) else set()
    assert seen == {"-0", "subnormal", "payload"}


@pytest.mark.library
def test_names_are_legal() -> None:
    """Paths and names of parts are legal, and odd ones are among them."""
    found = examples(paths(), 200)
    assert all(map(is_path, found))
    assert any(len(path.encode()) == 4096 for path in found)
    assert any(not path.isascii() for path in found)
    parts = examples(part_names("assets/"), 50)
    assert all(reading.Artifact is not None and name.startswith("assets/") for name in parts)
    assert without_collisions(["a/b", "A/B", "a/b/c", "a", "b"]) == ["a/b", "b"]


@pytest.mark.library
def test_a_scope_bounds_what_is_drawn() -> None:
    """An implementation that claims little is shown nothing else."""
    found = examples(artifacts(PLAIN, min_variables=1), 40)
    assert found
    for content in found:
        assert content.keys() <= {"profile", "weights", "tensors", "metadata"}
        assert {one["dtype"] for one in content["tensors"]["weights"].values()} <= PLAIN.dtypes
        assert reading.Artifact(writing.write(content)).manifest.tree["requires"] == []
    for parts in examples(layouts(PLAIN), 20):
        assert reading.Artifact(parts).manifest.tree["requires"] == []


@pytest.mark.library
def test_boxes_are_cut_right() -> None:
    """Boxes lie within the tensor, and give the elements that the oracle gives for them."""
    drawn = examples(
        tensors(EVERYTHING)
        .filter(lambda one: "components" not in one)
        .flatmap(lambda one: st.tuples(st.just(one), boxes(one["shape"]))),
        150,
    )
    kinds = Counter(box is None for _, box in drawn)
    assert kinds[True]
    assert kinds[False]
    for tensor, box in drawn:
        assert box_of(tensor, box) == oracle_content.box_of(tensor, box)


@pytest.mark.library
def test_mutations_break_and_keep(contents: list[Content]) -> None:
    """Most changes of a document's bytes break it, and some leave it valid."""
    judged: Counter[str] = Counter()
    documents = [writing.write(one)["training.json"] for one in contents if "training" in one]
    changed = st.sampled_from(documents).flatmap(lambda data: mutations("training.json", data))
    for mutated in examples(changed, 150):
        try:
            reading.check_document("training", mutated)
        except Refusal as refusal:
            judged[refusal.code] += 1
        else:
            judged["valid"] += 1
    assert judged["valid"] > 5
    assert len(judged) > 4
