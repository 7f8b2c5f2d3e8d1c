"""The examples of SPEC.md, executed: documents marked `example` or `reject`, and the table of values."""

from __future__ import annotations

import json as text_json
import re
import runpy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import schemas
from etui.canonical import json, msgpack, values
from etui.errors import RejectError
from etui.testing import documents

SPECIFICATION = schemas.specification_path().read_text(encoding="utf-8")
WORKED_EXAMPLE = Path(__file__).parents[1] / "examples" / "worked_example.py"
BLOCK = re.compile(r"^```json (?P<marks>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<forms>[^|]+) \| [^|]+ \|$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A marked block of SPEC.md."""

    kind: str
    code: str | None
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.kind} in line {self.line}"


def examples() -> list[Example]:
    """The blocks marked ``example=<kind>``, and with ``reject=<code>`` those that a reader refuses."""
    found = []
    for block in BLOCK.finditer(SPECIFICATION):
        marks = dict(mark.partition("=")[::2] for mark in block["marks"].split())
        line = SPECIFICATION.count("\n", 0, block.start()) + 1
        assert set(marks) in ({"example"}, {"example", "reject"}), f"line {line}: {block['marks']}"
        found.append(Example(marks["example"], marks.get("reject"), block["text"], line))
    return found


def table_of_values() -> list[tuple[str, Any]]:
    """Each JSON form that the table of chapter 5 shows, with the name of its row."""
    chapter = SPECIFICATION[SPECIFICATION.index("\n## 5. Values\n") : SPECIFICATION.index("\n## 6. ")]
    found = []
    for row in ROW.finditer(chapter):
        forms = [text_json.loads(form) for form in re.findall(r"`([^`]+)`", row["forms"]) if form[0] in '{"']
        for form in forms:
            # A row shows its tag once, and then only the other contents of it.
            whole = form if isinstance(form, dict) else {next(iter(forms[0])): form}
            found.append((f"{row['name']}: {text_json.dumps(whole)}", whole))
    return found


EXAMPLES = examples()
VALID = [example for example in EXAMPLES if example.code is None]
REFUSED = [example for example in EXAMPLES if example.code is not None]
VALUES = dict(table_of_values())


@pytest.mark.library
def test_every_block_of_json_is_marked_and_every_kind_of_document_has_an_example() -> None:
    """No JSON in SPEC.md escapes these tests, and at least one valid example of each document is there."""
    assert len(EXAMPLES) == SPECIFICATION.count("\n```json")
    assert set(Counter(example.kind for example in VALID)) == set(documents.KINDS)


@pytest.mark.clause(
    "J-7@920d0a", "B-12@f5befb", "M-1@517769", "W-1@81776a", "C-1@dd6453", "T-1@bb58c9", "O-1@219480", "R-1@3d2da9"
)
@pytest.mark.parametrize("example", VALID, ids=str)
def test_a_valid_example_is_what_schema_and_reader_accept(example: Example) -> None:
    """A valid example passes its schema, has a canonical form, and is decoded by its container."""
    view = text_json.loads(example.text)
    assert schemas.validate(example.kind, view, str(example)) == []
    data = documents.encode(example.kind, view)
    if example.kind in ("optimizer", "state"):
        tree = msgpack.decode(data, where=example.kind)
        assert values.json_view(tree) == view
    else:
        assert json.decode(data, where=example.kind) == view
    assert documents.decode(example.kind, view) is not None


@pytest.mark.library
@pytest.mark.parametrize("example", REFUSED, ids=str)
def test_an_example_marked_reject_is_refused_with_its_code(example: Example) -> None:
    """A reader refuses a `reject` example with the code that stands beside it."""
    with pytest.raises(RejectError) as caught:
        documents.decode(example.kind, text_json.loads(example.text))
    assert caught.value.code == example.code


@pytest.mark.library
def test_the_table_of_values_shows_every_tag() -> None:
    """The forms in the table of chapter 5 use exactly the tags of the schema."""
    tags = {tag for form in VALUES.values() for tag in form}
    assert tags == set(schemas.load("value")["$defs"]["tagged"]["properties"])
    assert len(VALUES) >= 20


@pytest.mark.clause("V-1@a55e7e", "V-3@bc68be", "B-12@f5befb")
@pytest.mark.parametrize("name", VALUES)
def test_a_form_of_the_table_of_values_comes_back_as_it_was(name: str) -> None:
    """A JSON form of the table passes the schema, and survives decoding and encoding, through MessagePack too."""
    form = VALUES[name]
    assert schemas.validate("value", form, name) == []
    value = values.from_json(form, name)
    assert values.to_json(value) == form
    packed = msgpack.encode({"value": values.to_msgpack(value)})
    unpacked = values.from_msgpack(msgpack.decode(packed, where=name)["value"], name)
    assert values.to_json(unpacked) == form


def shown_bytes(annex: str) -> bytes:
    """The bytes that the hexadecimal dumps of the annex show, each at the offset that stands beside it."""
    data = bytearray()
    for offset, digits in re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2,8} ?)+)(?:  |$)", annex, re.MULTILINE):
        assert int(offset, 16) == len(data)
        data += bytes.fromhex(digits)
    return bytes(data)


@pytest.mark.clause("D-5@94980c")
def test_the_worked_example_is_what_the_library_writes() -> None:
    """Annex A is, to the letter, what the script prints for the model that the library writes now."""
    script = runpy.run_path(str(WORKED_EXAMPLE))
    annex = script["annex"](script["packed"](script["tiny_model"]()))
    assert script["put"](SPECIFICATION, annex) == SPECIFICATION
    assert annex.count("\n") < 250


@pytest.mark.clause("H-8@5fca10")
def test_the_bytes_of_the_worked_example_are_an_artifact() -> None:
    """The bytes that Annex A shows open as the model that it describes, under the identity that it names."""
    annex = SPECIFICATION[SPECIFICATION.index("\n## Annex A.") :]
    with etui.open(shown_bytes(annex)) as model:
        assert model.digest is not None
        assert f"`{model.digest}`" in annex
        assert model.weights is not None
        assert model.weights["dense/kernel"].numpy().tolist() == [[0.75], [-0.5]]
        assert model.weights["dense/bias"].numpy().tolist() == [-0.25]
        assert model.optimizer is not None
        slots = model.optimizer.optimizers["optimizer"].slots
        assert slots["dense/kernel"]["momentum"].numpy().tolist() == [[-0.25], [-0.5]]


@pytest.mark.library
def test_a_specification_without_markers_is_not_written() -> None:
    """The script refuses to put the annex into a text that lacks the markers."""
    put = runpy.run_path(str(WORKED_EXAMPLE))["put"]
    with pytest.raises(SystemExit, match="worked-example:begin"):
        put("## Annex A. Worked example\n", "text")
