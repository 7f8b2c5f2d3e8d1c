"""The vectors of series of checkpoints: made anew they are the same, and oracle and library agree on each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from etui_conformance import resources, vectors
from etui_conformance.adapters.reference import start
from etui_conformance.checks import series as golden
from etui_conformance.checks import series_properties, series_saving
from etui_conformance.checks.base import Context, Settings
from etui_conformance.oracle import packed, reading, series, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.manifest import FEATURES
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.strategies import artifacts
from etui_conformance.strategies.scope import Scope
from etui_conformance.trace import read_clauses
from etui_conformance.vectors import Vector

VECTORS = vectors.load_series()
BY_ID = {vector.id: vector for vector in VECTORS}
GENERATOR = Path(__file__).parents[1] / "generators" / "series.py"
CODES_OF_RUNS = {"limit-pieces", "limit-document"}  # too large for files


@pytest.fixture
def session(tmp_path: Path) -> Iterator[InProcess]:
    session = InProcess(start, tmp_path)
    yield session
    session.close()


def files_of(vector: Vector) -> dict[str, bytes]:
    """The files of a series, those of its sibling among them."""
    return vectors.series_files(vector, BY_ID[vector.sibling] if vector.sibling else None)


def oracle_says(vector: Vector, *, full: bool) -> str:
    """The code with which the oracle refuses a vector, or `ok`."""
    try:
        if vector.document is not None:
            series.check_document(vector.document, vector.data())
        else:
            series.read(files_of(vector), vector.step or 0, full=full)
    except Refusal as refusal:
        return refusal.code
    return "ok"


@pytest.mark.library
def test_the_generator_makes_the_same_files_again() -> None:
    """The vectors are byte for byte those of their generator, and none is left over."""
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.partition("; ")[2]) == (0, "stale: none\n"), done.stderr


@pytest.mark.library
def test_the_oracle_accepts_each_valid_vector_and_refuses_each_other() -> None:
    """Read and fully verified, each vector is worth its content, or is refused with its code and nothing else."""
    wrong = []
    count = Counter[str]()
    for vector in VECTORS:
        if vector.setup:
            continue  # its fault is not in its files
        for op in ("decode", "validate") if vector.valid else vector.ops:
            said = oracle_says(vector, full=op == "validate")
            count[said] += 1
            if said not in (vector.codes or ("ok",)):
                wrong.append((vector.id, vector.name, op, said))
    assert wrong == []
    assert count["ok"] > 45
    assert len(count) > 15


@pytest.mark.library
def test_the_content_of_each_valid_vector_is_what_the_oracle_reads() -> None:
    """The expected contents are written by hand; the oracle reads them from the series and from what is exported."""
    steps = [vector for vector in VECTORS if vector.valid and vector.document is None]
    for vector in steps:
        assert series.read(files_of(vector), vector.step or 0, full=True) == vector.content(), vector.id
        if vector.transcode is not None:
            found = reading.read(packed.unpack(vector.file(vector.transcode)), full=True)
            assert found == vector.content(), vector.id
    assert len(steps) > 20


@pytest.mark.clause("CF-29@3ec9c0", "CF-36@c4c441")
def test_the_library_passes_every_check_of_series(session: InProcess, tmp_path: Path) -> None:
    """The reference library reads, verifies, exports, saves and refuses as each check of series says."""
    context = Context(session, Settings(examples=12), lambda: InProcess(start, tmp_path))
    checks = [*golden.checks(), *series_saving.checks(), *series_properties.checks()]
    asked = [check for check in checks if check.needs <= session.hello.capabilities]
    for check in asked:
        check.run(context)
    assert len(asked) == len(checks) > 300


@pytest.mark.library
def test_every_refusal_of_the_annex_has_a_vector_of_exactly_it() -> None:
    """For each code that a clause of annex Q names, a vector breaks that clause and has that code alone."""
    text = resources.specification_path().read_text(encoding="utf-8")
    clauses, _ = read_clauses(text[text.index("\n## Annex Q") : text.index("\n## Annex R")])
    known = {code for vector in VECTORS for code in vector.codes}
    named = {
        (clause.id, code)
        for clause in clauses
        if "refuse" in clause.text
        for code in re.findall("`([a-z0-9]+(?:-[a-z0-9]+)+)`", clause.text)
    }
    assert {code for _, code in named} - known == CODES_OF_RUNS
    lacking = [
        (clause, code)
        for clause, code in sorted(named)
        if code in known and not any(clause in one.clauses and one.codes == (code,) for one in VECTORS)
    ]
    assert lacking == []
    assert len(named) > 12


@pytest.mark.library
def test_each_fault_is_one_edit_away_from_its_valid_sibling() -> None:
    """A fault changes a file, or a layout and with it the record that names it, or what a runner sets up."""
    count = 0
    for vector in VECTORS:
        if vector.sibling is None:
            continue
        sibling = BY_ID[vector.sibling]
        assert sibling.valid
        assert (sibling.kind, sibling.document, sibling.step) == (vector.kind, vector.document, vector.step)
        if vector.document is not None:
            assert sibling.data() != vector.data()
            continue
        before, after = files_of(sibling), files_of(vector)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert changed or vector.setup, vector.id
        if vector.place == "(layout)":
            assert series.record_name(vector.step or 0) in changed
            assert len({name for name in changed if name.startswith("objects/")}) <= 2
        elif not vector.setup:
            assert changed == {vector.place}, vector.id
        count += 1
    assert count > 80


@pytest.mark.library
def test_names_and_ids_are_unique_and_in_order() -> None:
    """No two vectors have one name, and numbers count from 1."""
    assert [name for name, times in Counter(vector.name for vector in VECTORS).items() if times > 1] == []
    assert [vector.id for vector in VECTORS] == [f"series/{number:04}" for number in range(1, len(VECTORS) + 1)]


@pytest.mark.library
def test_the_list_is_as_the_schema_of_lists_says() -> None:
    """The list of the vectors of series has the form of the schema, and uses the fields that it alone may have."""
    folder = resources.vectors_directory()
    schema = json.loads((resources.schemas_directory() / "conformance/vectors.schema.json").read_text(encoding="utf-8"))
    listed = json.loads((folder / "series/manifest.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(listed)] == []
    fields = {field for vector in listed["vectors"] for field in vector}
    assert {"removes", "setup", "step"} <= fields
    assert {vector["document"] for vector in listed["vectors"] if "document" in vector} == {"series", "step", "layout"}


FULL = Scope(
    frozenset({"config", "weights", "training", "optimizer", "state", "parts"}),
    frozenset(FEATURES),
    frozenset({"float32", "uint8", "int64", "bool"}),
)


@pytest.mark.library
@given(artifacts(FULL), st.integers(0, 2**53 - 1), st.none() | st.integers(1, 200))
@settings(max_examples=60)
def test_a_step_of_the_oracle_is_the_artifact_it_was_made_of(content: object, number: int, size: int | None) -> None:
    """What the oracle writes as a step, it reads as the same parts, with each tensor in one piece."""
    parts = writing.write(content, size)  # type: ignore[arg-type]
    files = series.step(parts, number)
    assert series.parts(files, number, full=True) == parts
    assert series.split_tensors(files, number) == []
    assert series.numbers(files) == [number]


@pytest.mark.library
def test_the_oracle_reads_a_folder_without_following_links(tmp_path: Path) -> None:
    """A series is read from a folder, strangers are passed over, and what is no file is refused."""
    vector = next(vector for vector in VECTORS if vector.name == "files of other names")
    for name, data in files_of(vector).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    found = series.load(tmp_path)
    assert series.read(found, 5, full=True) == vector.content()
    assert set(found) < set(files_of(vector))
    record = tmp_path / "steps/5.json"
    record.rename(tmp_path / "outside")
    record.symlink_to(tmp_path / "outside")
    with pytest.raises(Refusal) as caught:
        series.load(tmp_path)
    assert caught.value.code == "series-link"
