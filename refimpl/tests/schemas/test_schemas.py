"""The schemas themselves: well formed, at one with SPEC.md, and each with examples that it accepts and refuses."""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from etui import schemas
from etui.errors import error
from etui.report import STATUSES, Report

DOCUMENTS = ("manifest", "config", "weights", "training", "optimizer", "state")
INVALID = schemas.schema_directory() / "examples" / "invalid"
INDEX: dict[str, dict[str, Any]] = json.loads((INVALID / "index.json").read_text(encoding="utf-8"))
SPECIFICATION = schemas.specification_path().read_text(encoding="utf-8")
CLAUSES = set(re.findall(r"^\*\*\[([A-Z]+-[0-9]+)\]\*\*", SPECIFICATION, re.MULTILINE))
CITED = re.compile(r"\b[A-Z]-[1-9][0-9]*\b")


def subschemas(node: Any, pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a schema outside of its examples, with its JSON pointer."""
    if isinstance(node, dict):
        yield pointer, node
        for key, child in node.items():
            if key not in {"examples", "const", "enum"}:
                yield from subschemas(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from subschemas(child, f"{pointer}/{index}")


def with_examples() -> dict[str, list[Any]]:
    """The examples of all schemas and definitions that have some, by the name that `validate` takes."""
    parts = {}
    for name in schemas.names():
        schema = schemas.load(name)
        parts[name] = schema
        parts |= {f"{name}#/$defs/{key}": part for key, part in schema.get("$defs", {}).items()}
    return {name: part["examples"] for name, part in parts.items() if "examples" in part}


WITH_EXAMPLES = with_examples()


def keys(node: Any) -> set[str]:
    """Every key of every map in a document."""
    if isinstance(node, dict):
        return set(node).union(*map(keys, node.values()))
    return set().union(*map(keys, node)) if isinstance(node, list) else set()


def without(document: Any, pointer: str) -> Any:
    """A copy of a document without the member or item at a JSON pointer, which need not be there."""
    *parents, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    copy = deepcopy(document)
    node = copy
    for step in parents:
        node = node[int(step)] if isinstance(node, list) else node[step]
    if isinstance(node, dict):
        node.pop(last, None)
    else:
        del node[int(last)]
    return copy


@pytest.mark.library
@pytest.mark.parametrize("name", schemas.names())
def test_each_schema_is_valid_and_has_the_id_of_its_name(name: str) -> None:
    """Each file is a valid 2020-12 schema whose $id ends in the file's name."""
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://etui.dev/schemas/1.0/{name}.schema.json"


@pytest.mark.library
def test_every_reference_resolves_without_a_network() -> None:
    """Each $ref leads to a definition in the files of the library."""
    count = 0
    for name in schemas.names():
        for pointer, part in subschemas(schemas.load(name)):
            if "$ref" in part:
                base, _, fragment = part["$ref"].partition("#")
                file = posixpath.normpath(posixpath.join(posixpath.dirname(name), base))
                target: Any = schemas.load(file.removesuffix(".schema.json") if base else name)
                for step in fragment.split("/")[1:]:
                    target = target[step]
                assert isinstance(target, dict), f"{name}{pointer}"
                count += 1
    assert count > 150


@pytest.mark.library
def test_every_comment_cites_clauses_of_the_specification() -> None:
    """Each clause id in a $comment is one of SPEC.md."""
    cited = {
        clause
        for name in schemas.names()
        for _, part in subschemas(schemas.load(name))
        if isinstance(part.get("$comment"), str)
        for clause in CITED.findall(part["$comment"])
    }
    assert len(cited) > 60
    assert cited - CLAUSES == set()


@pytest.mark.library
@pytest.mark.parametrize("name", [*DOCUMENTS, "tensor", "report", "error"])
def test_each_document_has_examples_that_use_every_field(name: str) -> None:
    """The three or more examples of a document's schema hold each field that the schema names, and one `x-` field."""
    schema = schemas.load(name)
    fields = {
        field
        for _, part in subschemas(schema)
        for field, content in part.get("properties", {}).items()
        if isinstance(content, dict)
        and "not" not in content
        and not content.get("$ref", "").endswith(("/foreign", "/whole", "/absent", "/nested"))
    }
    tags = {field for field in fields if field.startswith("$")}
    used = set().union(*map(keys, schema["examples"]))
    assert len(schema["examples"]) >= 3
    assert fields - tags - used == set()
    assert name in {"report", "error"} or any(key.startswith("x-") for key in used)


@pytest.mark.library
def test_the_examples_of_values_use_every_tag() -> None:
    """Each tag of the schema of values stands in one of its examples."""
    tagged = schemas.load("value")["$defs"]["tagged"]
    assert {tag for example in tagged["examples"] for tag in example} == set(tagged["properties"])


@pytest.mark.clause(
    "M-1@517769", "W-1@81776a", "C-1@dd6453", "T-1@bb58c9", "O-1@219480", "R-1@3d2da9", "B-12@f5befb", "Q-8@c68b8b"
)
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_valid_examples_are_accepted(name: str) -> None:
    """A schema or definition accepts each of its examples, with their fields that begin with x-."""
    examples = WITH_EXAMPLES[name]
    assert examples
    for index, example in enumerate(examples):
        assert schemas.validate(name, example, f"example {index}") == []


@pytest.mark.clause(
    "B-12@f5befb",
    "C-1@dd6453",
    "C-4@89cd45",
    "M-1@517769",
    "O-1@219480",
    "Q-7@8e4f71",
    "Q-9@7835ee",
    "R-1@3d2da9",
    "T-1@bb58c9",
    "T-2@1147ab",
    "W-1@81776a",
)
@pytest.mark.parametrize("file", sorted(INDEX))
def test_invalid_examples_are_refused_where_they_are_wrong(file: str) -> None:
    """A document one fault away from a valid one is refused at the fault alone, for the clause that it breaks."""
    name, expected = file.split("/", maxsplit=1)[0], INDEX[file]
    document = json.loads((INVALID / file).read_text(encoding="utf-8"))
    faults = schemas.validate(name, document, file)
    assert {(fault.path, fault.clause) for fault in faults} == {(expected["at"], expected["clause"])}
    sibling = schemas.load(name)["examples"][expected["sibling"]]
    assert without(document, expected["changed"]) == without(sibling, expected["changed"])
    assert schemas.validate(name, sibling, file) == []


@pytest.mark.library
def test_the_index_lists_every_invalid_example_and_every_document_has_ten() -> None:
    """The index and the folder hold the same files, at least ten for each kind of document."""
    assert set(INDEX) == {path.relative_to(INVALID).as_posix() for path in INVALID.glob("*/*.json")}
    counts = {name: sum(file.startswith(f"{name}/") for file in INDEX) for name in DOCUMENTS}
    assert min(counts.values()) >= 10
    assert {entry["clause"] for entry in INDEX.values()} - {None} <= CLAUSES


@pytest.mark.clause("H-1@34f64c", "D-3@4c720b", "P-1@71c231", "V-3@bc68be", "V-5@f884e0")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("common#/$defs/digest", "sha256:" + "0" * 64),
        ("common#/$defs/path", "dense/kernel"),
        ("common#/$defs/segment", "dense"),
        ("common#/$defs/partName", "config.json"),
        ("common#/$defs/dataPartName", "weights.safetensors"),
        ("common#/$defs/op", "keras:Dense"),
        ("value#/$defs/integerText", "9007199254740992"),
        ("value#/$defs/integralFloatText", "1e+21"),
        ("value#/$defs/floatText", "0.5"),
        ("value#/$defs/base64", "AAEC"),
    ],
)
def test_a_final_newline_is_no_part_of_a_text(name: str, text: str) -> None:
    """A pattern that accepts a text refuses it with a line break before or behind it."""
    assert schemas.validate(name, text, "text") == []
    assert schemas.validate(name, f"{text}\n", "text") != []
    assert schemas.validate(name, f"\n{text}", "text") != []


@pytest.mark.clause("V-3@bc68be")
@pytest.mark.parametrize("bound", [2**53 - 1, -(2**53) + 1])
def test_the_texts_of_integers_begin_where_numbers_end(bound: int) -> None:
    """Of the integers around ±(2^53 - 1), exactly those beyond are texts, as are all with 17 digits and more."""
    sign = 1 if bound > 0 else -1
    tried = {sign * number for number in [*range(10**15, 10**16, 7919 * 10**9), *(10**k for k in range(40))]}
    tried |= {bound + step for step in range(-2000, 2000)}
    tried |= {sign * int("9007199254740991"[:k] + digit + "0" * (15 - k)) for k in range(16) for digit in "0123456789"}
    assert len(tried) > 5000
    wrong = [
        number
        for number in tried
        if (schemas.validate("value#/$defs/integerText", str(number), "") == []) != (abs(number) > 2**53 - 1)
    ]
    assert wrong == []


@pytest.mark.clause("Q-6@921489")
@pytest.mark.parametrize("version", ["1.7", "1.10", "1." + "9" * 5000], ids=["one digit", "two", "many"])
def test_documents_of_a_higher_minor_version_are_not_checked(version: str) -> None:
    """A document of a later version with a field that 1.0 does not know has no fault, and a note says why."""
    document = {**schemas.load("manifest")["examples"][0], "version": version, "signature": "…"}
    assert schemas.validate("manifest", document, "manifest.json") == []
    assert version[:20] in schemas.version_note(document)
    assert "1.0" in schemas.version_note(document)


@pytest.mark.clause("Q-4@b72342", "Q-5@d16d82", "Q-7@8e4f71")
@pytest.mark.parametrize("version", ["2.0", "1", "1.00", "01.0", "1.0\n", "1.07", 1.0, None, ["1.7"]])
def test_documents_of_other_versions_are_refused(version: object) -> None:
    """A version that is not 1.0 and no higher minor version of 1 is a fault of the document."""
    document = {**schemas.load("manifest")["examples"][0], "version": version}
    (fault,) = schemas.validate("manifest", document, "manifest.json")
    assert (fault.path, fault.clause) == ("/version", "Q-4")
    assert schemas.version_note(document) == ""


@pytest.mark.library
@pytest.mark.parametrize("document", [None, 5, "1.7", [], [{"version": "1.7"}]])
def test_what_is_no_document_has_no_version(document: object) -> None:
    """Only a map can be of a higher minor version."""
    assert schemas.version_note(document) == ""
    assert schemas.validate("manifest", document, "manifest.json") != []


@pytest.mark.clause("J-8@055c86", "B-11@bf4fe0")
def test_nesting_to_the_limit_is_accepted_and_beyond_it_refused() -> None:
    """A value of 128 levels passes, one of 100,000 levels is a fault, and neither exhausts the stack."""
    value: Any = 0
    for level in range(127):
        value = [value] if level % 2 else {"a": value}
    assert schemas.validate("value", [value], "value") == []
    for _ in range(100_000):
        value = [value]
    (fault,) = schemas.validate("value", value, "value")
    assert fault.clause == "J-8"


@pytest.mark.library
def test_a_fault_says_where_what_and_why() -> None:
    """The text of a fault holds the document, the place, what was found and the clause."""
    (fault,) = schemas.validate("config", {"format": "etui-config", "version": "1.0"}, "config.json")
    assert str(fault) == "config.json at the root: 'model' is a required property [SPEC.md C-1]"
    (fault,) = schemas.validate("value", {"$pickle": "gASV"}, "x")
    assert str(fault) == "x at /$pickle: 'gASV' is under a key that is no tag of chapter 5 [SPEC.md V-1]"
    (fault,) = schemas.validate("common#/$defs/digest", "md5:x/y~z" * 1000, "x")
    assert len(str(fault)) < 400


@pytest.mark.library
def test_places_are_json_pointers() -> None:
    """A place escapes `~` and `/` of keys as RFC 6901 says."""
    (fault,) = schemas.validate("value", {"a/b": [0, {"c~d": {"$x": 1}}]}, "x")
    assert fault.path == "/a~1b/1/c~0d/$x"


@pytest.mark.library
def test_a_name_without_a_schema_is_told() -> None:
    """Loading a schema that does not exist names those that do."""
    with pytest.raises(KeyError, match="manifest"):
        schemas.load("../manifest")


@pytest.mark.library
def test_an_installation_without_schemas_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package folder without schemas and SPEC.md is reported as an incomplete installation."""
    monkeypatch.setattr(schemas, "__file__", str(tmp_path / "lib" / "etui" / "schemas.py"))
    with pytest.raises(FileNotFoundError, match="not complete"):
        schemas.schema_directory()
    with pytest.raises(FileNotFoundError, match="not complete"):
        schemas.specification_path()


@pytest.mark.library
def test_the_report_and_its_schema_agree() -> None:
    """The schema accepts a report with an entry of every status, and lists exactly the library's statuses."""
    report = Report("model.keras", "model.etui")
    for status in STATUSES:
        report.add("variable", "dense/kernel", status, "a detail")
    assert STATUSES
    assert schemas.validate("report", report.as_json(), "report") == []
    assert set(schemas.load("report")["$defs"]["status"]["enum"]) == set(STATUSES)


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize("code", ["json-duplicate-key", "not-complete", "digest-mismatch"])
def test_the_error_and_its_schema_agree(code: str) -> None:
    """The schema accepts errors of SPEC.md and of the library alone, as they report themselves."""
    assert schemas.validate("error", error(code, where="config.json", found="'a'").as_json(), "error") == []


@pytest.mark.library
def test_jsonschema_is_imported_when_a_document_is_checked() -> None:
    """Importing the module and reading a schema loads no jsonschema; checking a document does."""
    program = """
import sys
from etui import schemas
schemas.load("manifest")
before = "jsonschema" in sys.modules
schemas.validate("value", 1, "value")
print(before, "jsonschema" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(schemas.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
