"""The golden vectors: made anew they are the same, oracle and library agree on each, and no refusal lacks one."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from etui_conformance import resources, vectors
from etui_conformance.adapters.reference import start
from etui_conformance.checks import vectors as family
from etui_conformance.checks.base import Context, Settings
from etui_conformance.oracle import packed, reading
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.protocol.messages import AREAS, DTYPES, FEATURES, FORMS
from etui_conformance.trace import read_clauses
from etui_conformance.vectors import BrokenVectorsError, Vector

VECTORS = vectors.load()
BY_ID = {vector.id: vector for vector in VECTORS}
GENERATOR = Path(__file__).parents[1] / "generators" / "vectors.py"
LIMITS_OF_RUNS = {"limit-document", "limit-modules", "limit-parts", "limit-variables"}  # too large for files
BESIDE = {"signature-form", "signature-identity", "signature-invalid", "signature-key"}  # beside an artifact

DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
SIZE = re.compile(rb'"size":[0-9]+')


@pytest.fixture
def session(tmp_path: Path) -> Iterator[InProcess]:
    session = InProcess(start, tmp_path)
    yield session
    session.close()


def oracle_says(vector: Vector, *, full: bool) -> str:
    """The code with which the oracle refuses a vector, or `ok`."""
    try:
        if vector.document is not None:
            reading.check_document(vector.document, vector.data())
        else:
            parts = vector.parts() if vector.kind == "directory" else packed.unpack(vector.data())
            reading.read(parts, full=full)
    except Refusal as refusal:
        return refusal.code
    return "ok"


@pytest.mark.library
def test_the_generator_makes_the_same_files_again() -> None:
    """The vectors are byte for byte those of their generator, and none is left over."""
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.partition("; ")[2]) == (0, "stale: none\n"), done.stderr


@pytest.mark.library
def test_the_generator_names_what_is_stale_and_leaves_others_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed, a missing and a surplus file are named and made right; folders of other generators are not touched."""
    monkeypatch.syspath_prepend(str(GENERATOR.parent))
    import vectors as generator

    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS[0].folder, folder, ignore=shutil.ignore_patterns("core", "formats"))
    made = generator.files()
    monkeypatch.setattr(generator, "FOLDER", folder)
    monkeypatch.setattr(generator, "files", lambda: made)
    (folder / "json/0001.etui").write_bytes(b"changed")
    (folder / "weights/0001.etui").unlink()
    (folder / "state/9999.etui").write_bytes(b"surplus")
    other = folder / "core/0001.json"
    other.parent.mkdir()
    other.write_bytes(b"made elsewhere")
    stale = "json/0001.etui, state/9999.etui, weights/0001.etui\n"
    for arguments, word, code in ((["--check"], "stale", 1), ([], "written", 0), (["--check"], "stale", 0)):
        monkeypatch.setattr(sys, "argv", ["vectors.py", *arguments])
        assert generator.main() == code
        said = capsys.readouterr().out.partition("; ")[2]
        assert said == (f"{word}: none\n" if arguments and not code else f"{word}: {stale}")
    assert other.read_bytes() == b"made elsewhere"


@pytest.mark.clause("E-1@c976f4")
def test_the_oracle_accepts_each_valid_vector_with_its_content_and_refuses_each_other() -> None:
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
    assert count["ok"] > 350
    assert len(count) > 70


@pytest.mark.library
def test_the_content_of_each_valid_vector_is_what_the_oracle_reads() -> None:
    """The expected contents are written by hand, and the oracle reads the same."""
    artifacts = [vector for vector in VECTORS if vector.valid and vector.document is None]
    for vector in artifacts:
        parts = vector.parts() if vector.kind == "directory" else packed.unpack(vector.data())
        assert reading.read(parts, full=True) == vector.content(), vector.id
    assert len(artifacts) > 180


@pytest.mark.clause("E-1@c976f4", "CF-23@d3fdc8", "CF-26@ca0ad7", "CF-27@9e847a", "CF-28@d7ad51", "CF-29@3ec9c0")
def test_the_library_passes_every_check_of_the_vectors(session: InProcess, tmp_path: Path) -> None:
    """The reference library reads, verifies, writes and refuses each vector as it says."""
    context = Context(session, Settings(), lambda: InProcess(start, tmp_path))
    checks = family.checks()
    asked = [check for check in checks if check.needs <= session.hello.capabilities]
    for check in asked:
        check.run(context)
    assert len(asked) == len(checks) > 2500


@pytest.mark.library
def test_every_refusal_of_the_specification_has_a_vector_of_exactly_it() -> None:
    """For each code that a clause of chapters 2 to 22 names, a vector breaks that clause and has that code alone."""
    text = resources.specification_path().read_text(encoding="utf-8")
    clauses, _ = read_clauses(text[text.index("\n## 2. ") : text.index("\n## Annex A")])
    known = {code for vector in VECTORS for code in vector.codes}
    lacking = []
    count = 0
    for clause in clauses:
        for code in set(re.findall("`([a-z0-9-]+)`", clause.text)) & known if "refuse" in clause.text else ():
            count += 1
            if not any(clause.id in vector.clauses and vector.codes == (code,) for vector in VECTORS):
                lacking.append((clause.id, code))
    assert lacking == []
    assert count > 110


@pytest.mark.library
def test_the_vectors_have_every_code_of_the_specification() -> None:
    """Each code of chapters 2 to 22 has a vector, but for those of signatures, and limits that no file here reaches."""
    text = resources.specification_path().read_text(encoding="utf-8")
    body = text[text.index("\n## 2. ") : text.index("\n## Annex A")]
    refusals = set(re.findall("`([a-z0-9]+(?:-[a-z0-9]+)+)`", body))
    used = {code for vector in VECTORS for code in vector.codes}
    assert used <= refusals
    assert {code for code in refusals - used if not code.startswith("etui-")} == LIMITS_OF_RUNS | BESIDE


@pytest.mark.library
def test_the_valid_vectors_need_each_thing_that_an_implementation_may_have() -> None:
    """Among the valid vectors are some of every form, area, feature and dtype, and of every kind of document."""
    needed = {need for vector in [*VECTORS, *vectors.load_series()] if vector.valid for need in vector.needs}
    wanted = {*FORMS, *AREAS, *(f"feature:{each}" for each in FEATURES), *(f"dtype:{each}" for each in DTYPES)}
    assert wanted - needed == set()
    kinds = {vector.document for vector in VECTORS if vector.valid} - {None}
    assert kinds == {"manifest", "config", "weights", "training", "optimizer", "state"}
    profiles = {vector.content()["profile"] for vector in VECTORS if vector.expected is not None}
    assert profiles == {"config", "weights", "model", "training", "checkpoint"}


def stored(vector: Vector) -> dict[str, bytes]:
    """The files of an artifact, however faulty its manifest is."""
    if vector.kind == "directory":
        return vector.parts()
    with zipfile.ZipFile(io.BytesIO(vector.data())) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def masked(data: bytes) -> bytes:
    """Bytes without what follows from others: digests and sizes."""
    return SIZE.sub(b'"size":0', DIGEST.sub(b"sha256:", data))


@pytest.mark.library
def test_each_fault_is_in_one_part_of_its_valid_sibling() -> None:
    """Besides the part that was edited, nothing differs from the valid sibling but the sizes and digests of others."""
    count = Counter[str]()
    for vector in VECTORS:
        if vector.sibling is None:
            continue
        sibling = BY_ID[vector.sibling]
        assert sibling.valid
        assert (sibling.kind, sibling.document) == (vector.kind, vector.document)
        assert vector.setup or sibling.files.values() != vector.files.values()
        if vector.document is not None or vector.place == "(archive)" or vector.setup:
            continue
        before, after = stored(sibling), stored(vector)
        differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        if vector.place in ("(parts)", "(folder)"):
            assert differing, vector.id
        else:
            others = {name for name in differing if masked(before[name]) != masked(after[name])} - {vector.place}
            assert vector.place in differing, vector.id
            assert others == set(), vector.id
        count[vector.place or ""] += 1
    assert len(count) >= 9
    assert count.total() > 700


@pytest.mark.library
def test_the_worked_example_is_the_one_of_the_specification() -> None:
    """The vector of annex A has the size and the identity that the annex gives, and its first bytes."""
    (vector,) = (vector for vector in VECTORS if vector.name == "the worked example of annex A")
    text = resources.specification_path().read_text(encoding="utf-8")
    told = re.search(r"a file of ([0-9]+) bytes with the identity\s+`(sha256:[0-9a-f]{64})`", text)
    assert told is not None
    data = vector.data()
    identity = f"sha256:{hashlib.sha256(packed.unpack(data)['manifest.json']).hexdigest()}"
    assert (str(len(data)), identity) == told.groups()
    assert f"0000  {data[:4].hex()} " in text


@pytest.mark.library
def test_names_and_ids_are_unique_and_in_order() -> None:
    """No two vectors have one id, no two of a folder one name, and numbers count from 1 in each folder."""
    names = Counter((vector.id.partition("/")[0], vector.name) for vector in VECTORS)
    assert [name for name, times in names.items() if times > 1] == []
    seen = Counter[str]()
    for vector in VECTORS:
        area, _, number = vector.id.partition("/")
        seen[area] += 1
        assert number == f"{seen[area]:04}"


@pytest.mark.library
def test_the_list_of_vectors_is_as_its_schema_and_readme_say() -> None:
    """The list has the form of its schema, and the README has a word for each field that it may have."""
    folder = VECTORS[0].folder
    schema = json.loads((resources.schemas_directory() / "conformance/vectors.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(listed)] == []
    fields = schema["$defs"]["vector"]["properties"].keys()
    of_series = json.loads((folder / "series/manifest.json").read_text(encoding="utf-8"))
    assert {field for vector in [*listed["vectors"], *of_series["vectors"]] for field in vector} == fields
    readme = (folder / "README.md").read_text(encoding="utf-8")
    described = {
        word for line in re.findall(r"^\| (.+?) \| ", readme, re.MULTILINE) for word in re.findall("`(.+?)`", line)
    }
    assert described == fields


@pytest.mark.library
def test_a_file_that_is_not_the_listed_one_is_told(tmp_path: Path) -> None:
    """A vector whose file was changed, and a list of something else, are told from the vectors."""
    vector = BY_ID["json/0001"]
    for name in vector.files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"changed")
    listed = json.loads((vector.folder / "manifest.json").read_text(encoding="utf-8"))
    listed["vectors"] = listed["vectors"][:1]
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    (found,) = vectors.load(tmp_path)
    with pytest.raises(BrokenVectorsError, match=r"json/0001\.etui"):
        found.data()
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"format": "etui"}')
    with pytest.raises(BrokenVectorsError, match="list"):
        vectors.load(other)
