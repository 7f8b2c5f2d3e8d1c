"""The vectors of meaning: they are what their generator gives, cover the vocabulary, and the reference passes them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from etui_conformance.adapters.reference import start
from etui_conformance.checks import semantics
from etui_conformance.checks.base import Context, Mismatch, Settings
from etui_conformance.checks.closeness import check_close
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.protocol.session import Hello, Reply, Session
from etui_conformance.resources import clauses, schemas_directory, vectors_directory

ROOT = Path(__file__).parents[2]
FOLDER = vectors_directory() / "core"
VOCABULARY: dict[str, Any] = json.loads((schemas_directory() / "core" / "vocabulary.json").read_text())
KINDS = ("losses", "metrics", "schedules", "activations", "regularizers", "constraints")
DRAWN = {  # what an initializer draws has no expected numbers
    *("random_normal", "random_uniform", "truncated_normal", "variance_scaling", "orthogonal"),
    *(f"{name}_{form}" for name in ("glorot", "he", "lecun") for form in ("uniform", "normal")),
}


def files() -> dict[str, Any]:
    return {entry["file"]: semantics.vectors(entry["file"]) for entry in semantics.manifest()["files"]}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = InProcess(start, tmp_path_factory.mktemp("semantics"))
    yield made
    made.close()


@pytest.mark.library
def test_the_generator_gives_the_vectors_again() -> None:
    """No file differs from what the generator makes, none is missing and none is left over."""
    command = [sys.executable, str(ROOT / "conformance/generators/semantics.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "stale: none\n"), done.stderr


@pytest.mark.library
def test_the_generator_sees_a_difference() -> None:
    """The last bits of a computed number may differ, and no more; an artifact and an input may not at all."""
    sys.path.insert(0, str(ROOT / "conformance/generators"))
    try:
        from semantics_store import same, tensor
    finally:
        sys.path.pop(0)

    def case(number: float) -> dict[str, Any]:
        return {"expected": {"outputs": [tensor(number)]}, "title": "t"}

    assert same(case(0.1), case(0.1 * (1 + 1e-15)))
    assert not same(case(0.1), case(0.1 * (1 + 1e-9)))
    assert not same({"request": tensor(0.1)}, {"request": tensor(0.1 * (1 + 1e-15))})
    assert not same(case(0.1), case(0.1) | {"title": "u"})
    assert not same(case(0.1), case(0.1) | {"more": 1})


@pytest.mark.library
def test_files_fit_the_schema_and_the_manifest() -> None:
    """The manifest and each file are valid, digests and cases agree, and each cited clause is one of SPEC.md."""
    schema = json.loads((schemas_directory() / "conformance" / "semantics.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(semantics.manifest())
    known, seen = set(clauses()), set()
    for entry in semantics.manifest()["files"]:
        content = semantics.vectors(entry["file"])
        validator.validate(content)
        assert content["subject"] == entry["file"].removesuffix(".json")
        assert hashlib.sha256((FOLDER / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        assert len(content["cases"]) == len(entry["cases"])
        for case, listed in zip(content["cases"], entry["cases"], strict=True):
            assert listed["id"] == f"semantics/{content['subject']}/{case['name']}"
            assert (case["op"], case["clauses"], case["title"]) == (listed["op"], listed["clauses"], listed["title"])
            assert known.issuperset(case["clauses"]), case["name"]
            assert case.get("sibling", "valid") in content.get("siblings", {"valid": None})
            seen.add(listed["id"])
    assert len(seen) == len(semantics.checks()) > 800
    assert not validator.is_valid({**semantics.manifest(), "files": []})


@pytest.mark.library
def test_the_vectors_are_small() -> None:
    """All files together stay below 5 MB."""
    assert 1e6 < sum(path.stat().st_size for path in FOLDER.rglob("*.json")) < 5e6


@pytest.mark.library
def test_everything_of_the_vocabulary_has_a_vector() -> None:
    """Each op, optimizer and object has cases, and each of their attributes is set to something in one of them."""
    found = files()
    ops = {name.removeprefix("ops/").removesuffix(".json") for name in found if name.startswith("ops/")}
    assert ops == set(VOCABULARY["ops"])
    rules = {name.removeprefix("steps/").removesuffix(".json") for name in found if name.startswith("steps/")}
    assert rules == set(VOCABULARY["optimizers"])
    for kind in (*KINDS, "initializers"):
        objects = [case["request"]["object"]["$object"] for case in found[f"objects/{kind}.json"]["cases"]]
        names = {one["class"].removeprefix(f"core:{kind}.") for one in objects}
        assert names == set(VOCABULARY[kind]) - (DRAWN if kind == "initializers" else set())
        told = {(one["class"].rpartition(".")[2], key) for one in objects for key in one["config"]}
        listed = {(name, key) for name in names for key in VOCABULARY[kind][name].get("attrs", {})}
        # A name and a reduction that every loss has change no value of it.
        assert {key for key in listed - told if key[1] not in ("name", "dtype", "reduction")} == set(), kind


@pytest.mark.library
def test_every_clause_of_both_annexes_is_cited() -> None:
    """But those on what is drawn, which no request asks for."""
    cited = {clause for check in semantics.checks() for clause in check.clauses}
    wanted = {name for name in clauses() if re.match(r"C[VTO]-\d+$", name)}
    assert wanted - cited == {"CV-81", "CV-162", "CV-163", "CV-164", "CV-165"}


@pytest.mark.library
def test_the_reference_passes(session: Session) -> None:
    """Each check applies to the reference and finds nothing."""
    context = Context(session, Settings(), lambda: session)
    count = 0
    for check in semantics.checks():
        assert check.needs <= session.hello.capabilities, check.id
        check.run(context)
        count += 1
    assert count > 800


class Altered(Session):
    """The reference, with one field of its replies changed."""

    def __init__(self, inner: Session, change: Any) -> None:
        self.inner, self.change, self.folder = inner, change, inner.folder
        self.hello: Hello = inner.hello

    def ask(self, op: str, /, **fields: Any) -> Reply:
        reply = self.inner.ask(op, **fields)
        changed = json.loads(json.dumps(dict(reply.fields)))
        return self.change(changed) or Reply(reply.result, changed)

    def close(self) -> None:
        pass


def shifted(tensor: dict[str, Any]) -> None:
    """The first element of a tensor of float64, a millionth larger."""
    import base64
    import struct

    data = bytearray(base64.b64decode(tensor["data"]))
    (value,) = struct.unpack_from("<d", data)
    struct.pack_into("<d", data, 0, value * (1 + 1e-6) + 1e-6)
    tensor["data"] = base64.b64encode(data).decode()


CHANGES: dict[str, tuple[str, Any]] = {
    "an output": ("semantics/ops/dense/bias", lambda found: shifted(found["outputs"][0])),
    "an output less": ("semantics/ops/dense/bias", lambda found: found["outputs"].clear()),
    "a moved statistic": (
        "semantics/ops/batch_norm/training",
        lambda found: shifted(found["variables"]["op/moving_mean"]),
    ),
    "no moved statistic": ("semantics/ops/batch_norm/training", lambda found: found["variables"].clear()),
    "a result": (
        "semantics/objects/losses/huber/delta",
        lambda found: shifted(found["outputs"]["value"]),
    ),
    "a variable": (
        "semantics/steps/adam/defaults-fresh",
        lambda found: shifted(found["weights"]["dense/bias"]),
    ),
    "a slot": (
        "semantics/steps/adam/defaults-fresh",
        lambda found: shifted(found["tensors"]["optimizer/slots/dense/bias/velocity"]),
    ),
    "a counter": (
        "semantics/steps/adam/defaults-fresh",
        lambda found: found["optimizer"]["optimizers"]["optimizer"].update(step=7),
    ),
    "another code": (
        "semantics/invalid/modules/default-written",
        lambda found: Reply("reject", {"class": "invalid", "code": "config-form"}) if "code" in found else None,
    ),
    "a sibling refused": (
        "semantics/invalid/modules/default-written",
        lambda _: Reply("reject", {"class": "invalid", "code": "core-attrs"}),
    ),
    "nothing refused": ("semantics/invalid/slots/missing", lambda _: Reply("ok", {})),
    "unsupported": ("semantics/ops/dense/bias", lambda _: Reply("unsupported", {"what": "op:dense"})),
}


@pytest.mark.library
@pytest.mark.parametrize("name", CHANGES)
def test_a_wrong_reply_is_found(name: str, session: Session) -> None:
    """Whatever of a reply is compared, a change of it fails the check."""
    check_id, change = CHANGES[name]
    check = next(check for check in semantics.checks() if check.id == check_id)
    with pytest.raises(Mismatch):
        check.run(Context(Altered(session, change), Settings(), lambda: session))


def tensor(dtype: str, shape: list[int], data: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data": data}


ONE = tensor("float64", [1], "AAAAAAAA8D8=")
EXACT = {"rtol": 0.0, "atol": 0.0}


@pytest.mark.library
@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (ONE, ONE, True),
        (ONE, tensor("float64", [], "AAAAAAAA8D8="), False),
        (ONE, tensor("float32", [1], "AACAPw=="), False),
        (tensor("int64", [1], "AgAAAAAAAAA="), tensor("int32", [1], "AgAAAA=="), True),
        (tensor("int64", [1], "AgAAAAAAAAA="), tensor("int32", [1], "AwAAAA=="), False),
        (tensor("bool", [1], "AQ=="), tensor("uint8", [1], "AQ=="), False),
        (tensor("float64", [1], "AAAAAAAA+H8="), tensor("float64", [1], "AQAAAAAA+H8="), True),
        (tensor("float64", [1], "AAAAAAAA+H8="), ONE, False),
        (tensor("float64", [1], "AAAAAAAA8H8="), tensor("float64", [1], "AAAAAAAA8P8="), False),
    ],
)
def test_tensors_are_compared(expected: dict[str, Any], found: dict[str, Any], same: bool) -> None:
    """By shape, dtype and elements; an integer may be of another width, NaN is NaN."""
    if same:
        check_close("it", expected, found, EXACT)
    else:
        with pytest.raises(Mismatch):
            check_close("it", expected, found, EXACT)


@pytest.mark.library
def test_floats_may_be_of_another_dtype_where_that_is_said() -> None:
    """And a tolerance is kept on either side."""
    check_close("it", ONE, tensor("float32", [1], "AACAPw=="), EXACT, exact_dtype=False)
    near = tensor("float64", [1], "AQAAAAAA8D8=")
    check_close("it", ONE, near, {"rtol": 1e-15, "atol": 0.0})
    with pytest.raises(Mismatch):
        check_close("it", ONE, near, {"rtol": 1e-16, "atol": 0.0})
