"""The documents of a series: records, layouts and the mark, right and one fault away from it."""

from __future__ import annotations

import json as text_json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import digest, schemas
from etui.canonical import json
from etui.checkpoints import layouts, records
from etui.checkpoints.layouts import Layout
from etui.checkpoints.records import Record
from etui.errors import RejectError, UsageError
from etui.storage import objects

INVALID = schemas.schema_directory() / "examples" / "invalid"
INDEX: dict[str, dict[str, Any]] = text_json.loads((INVALID / "index.json").read_text(encoding="utf-8"))
KINDS = ("series", "step", "layout")
A, B = (digest.of(text) for text in (b"a", b"b"))
OBJECTS = [digest.of(bytes([number])) for number in range(6)]


def sealed(tree: dict[str, Any]) -> bytes:
    """The bytes of a record with the seal that belongs to it."""
    unsealed = {name: value for name, value in tree.items() if name != "seal"}
    return json.encode(unsealed | {"seal": digest.of(json.encode(unsealed))})


DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "series": lambda tree: objects.check_mark(json.encode(tree), "a series"),
    "step": lambda tree: records.decode(json.encode(tree), tree["step"]),
    "layout": lambda tree: layouts.decode(json.encode(tree)),
}


def examples(kind: str) -> list[dict[str, Any]]:
    """The examples of a schema."""
    found: list[dict[str, Any]] = schemas.load(kind)["examples"]
    assert len(found) == 3
    return found


@pytest.mark.clause("CS-1@705691", "CS-11@312403", "CS-19@460598")
@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_of_a_schema_are_read_and_written_again(kind: str) -> None:
    """What a schema shows is accepted, and a record and a layout are encoded to the same bytes, but for `x-` fields."""
    for tree in examples(kind):
        found = DECODERS[kind](tree)
        if isinstance(found, Record):
            assert records.encode(found) == json.encode(tree)
        elif isinstance(found, Layout):
            plain = {name: value for name, value in tree.items() if not name.startswith("x-")}
            assert layouts.encode(found) == json.encode(plain)


@pytest.mark.clause("CS-1@705691", "CS-2@6d5479", "CS-11@312403", "CS-12@95544e", "CS-19@460598")
@pytest.mark.parametrize(
    "file", [file for file in sorted(INDEX) if file.startswith(tuple(f"{kind}/" for kind in KINDS))]
)
def test_what_the_schema_refuses_the_decoder_refuses(file: str) -> None:
    """A document one fault away from a valid one is refused, with the code of its form or of the fault."""
    kind, _, _ = file.partition("/")
    tree = text_json.loads((INVALID / file).read_text(encoding="utf-8"))
    seals = kind == "step" and "seal" in tree and "seal" not in INDEX[file]["at"]
    with pytest.raises(RejectError) as caught:
        DECODERS[kind](text_json.loads(sealed(tree)) if seals else tree)
    assert caught.value.code in {f"{kind}-form", "digest-form", "version-form", "version-unsupported", "json-number"}


@pytest.mark.clause("Q-6@921489", "Q-7@8e4f71")
@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_minor_version_may_have_more_fields(kind: str) -> None:
    """A field that 1.0 does not know is ignored in a document of version 1.7, and refused in one of 1.0."""
    tree = {**examples(kind)[0], "later": 1}
    newer = {**tree, "version": "1.7"}
    if kind == "step":
        tree, newer = (text_json.loads(sealed(one)) for one in (tree, newer))
    DECODERS[kind](newer)
    with pytest.raises(RejectError) as caught:
        DECODERS[kind](tree)
    assert caught.value.code == f"{kind}-form"


@pytest.mark.clause("CS-21@298b0d")
def test_every_changed_byte_of_a_record_is_found() -> None:
    """No byte of a record can be another one without a refusal."""
    record = Record(7, A, {"weights.safetensors": B}, {"loss": 0.25, "n": 3.0}, "2026-11-27T20:14:24.125Z")
    data = records.encode(record)
    refused = 0
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(RejectError):
                records.decode(bytes(changed), 7)
            refused += 1
    assert refused == 8 * len(data) > 2000


@pytest.mark.clause("CS-21@298b0d")
def test_the_seal_is_the_digest_of_the_rest() -> None:
    """A record with a seal of other content is refused with `series-seal`."""
    tree = text_json.loads(records.encode(Record(7, A, {}, {}, "2026-11-27T20:14:24.125Z")))
    assert tree["seal"] == digest.of(json.encode({name: value for name, value in tree.items() if name != "seal"}))
    with pytest.raises(RejectError) as caught:
        records.decode(json.encode({**tree, "identity": B}), 7)
    assert (caught.value.code, caught.value.clause, caught.value.error_class) == ("series-seal", "CS-21", "integrity")


@pytest.mark.clause("CS-20@f58817")
def test_a_record_in_the_file_of_another_step_is_refused() -> None:
    """The number in a record is that of its file."""
    data = records.encode(Record(7, A, {}, {}, "2026-11-27T20:14:24.125Z"))
    assert records.decode(data, 7).step == 7
    with pytest.raises(RejectError) as caught:
        records.decode(data, 8)
    assert caught.value.code == "step-form"


@pytest.mark.clause("CS-19@460598")
@pytest.mark.parametrize(
    "time",
    ["2026-02-29T00:00:00.000Z", "2026-04-31T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "2026-02-27T24:00:00.000Z"],
)
def test_a_time_that_is_no_moment_is_refused(time: str) -> None:
    """The text of a time has the form of one, and is in the calendar."""
    tree = {**examples("step")[1], "time": time}
    with pytest.raises(RejectError) as caught:
        records.decode(sealed(tree), 0)
    assert caught.value.code == "step-form"


@pytest.mark.library
def test_times_are_told_in_utc() -> None:
    """A moment of another zone is told as the same moment in UTC, and what is below a millisecond is cut off."""
    moment = datetime(2026, 11, 27, 1, 2, 3, 4999, tzinfo=timezone(timedelta(hours=2)))
    assert records.time_text(moment) == "2026-11-26T23:02:03.004Z"
    assert records.time_text(datetime(5, 1, 1, tzinfo=UTC)) == "0005-01-01T00:00:00.000Z"


@pytest.mark.clause("CS-19@460598")
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(), max_size=4))
def test_any_floats_are_metrics(metrics: dict[str, float]) -> None:
    """NaN, infinities and integral floats come back as they were, and no bytes but the same are read as the same."""
    data = records.encode(Record(0, A, {}, metrics, "2026-11-27T20:14:24.125Z"))
    found = records.decode(data, 0).metrics
    assert found.keys() == metrics.keys()
    np.testing.assert_array_equal([found[name] for name in metrics], list(metrics.values()))


@pytest.mark.library
@pytest.mark.parametrize(
    "metrics", [{"": 1.0}, {1: 1.0}, {"a": "0.5"}, {"a": None}, {"a": [1.0]}, {"a": 1j}, {"a": b"1"}]
)
def test_what_is_no_metric_is_refused(metrics: Any) -> None:
    """Names are texts, and values are numbers; a text that looks like one is not."""
    with pytest.raises(UsageError) as caught:
        records.check_metrics(metrics)
    assert caught.value.code == "series-metric"


@pytest.mark.library
def test_numbers_of_numpy_are_metrics() -> None:
    """Scalars, and arrays of one element, become floats."""
    found = records.check_metrics({"a": np.float32(0.5), "b": np.int64(3), "c": np.array(2.0), "d": True})
    assert found == {"a": 0.5, "b": 3.0, "c": 2.0, "d": 1.0}
    assert {type(value) for value in found.values()} == {float}


def layout(objects: list[str], pieces: list[list[int]]) -> bytes:
    return json.encode({"format": "etui-layout", "objects": objects, "pieces": pieces, "version": "1.0"})


@pytest.mark.clause("CS-12@95544e", "CS-13@f0e199")
@pytest.mark.parametrize(
    ("objects", "pieces"),
    [
        ([A, B], [[1, 0, 8], [0, 0, 8]]),
        ([A, B], [[0, 0, 8]]),
        ([A], [[0, 0, 8], [1, 0, 8]]),
        ([A], [[2**53 - 1, 0, 8]]),
        ([A], []),
        ([A, A], [[0, 0, 8], [1, 8, 8]]),
        ([A], [[0, 0, 8], [0, 8, 8]]),
        ([A, B], [[0, 0, 8], [1, 4, 4], [1, 8, 1]]),
        ([A], [[0, 2**53 - 1, 1]]),
        ([A], [[0, True, 8]]),
    ],
)
def test_a_layout_in_another_form_is_refused(objects: list[str], pieces: list[list[int]]) -> None:
    """Objects stand in the order of their first use, each once, and pieces that go on are one."""
    with pytest.raises(RejectError) as caught:
        layouts.decode(layout(objects, pieces))
    assert caught.value.code == "layout-form"


@pytest.mark.clause("CS-12@95544e", "CS-13@f0e199")
@given(st.lists(st.tuples(st.sampled_from(OBJECTS), st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_ranges_become_a_layout_that_is_read_again(ranges: list[tuple[str, int, int]]) -> None:
    """Whatever ranges a part consists of, their layout is canonical, and finds each byte where it is."""
    found = layouts.decode(layouts.encode(Layout.of(ranges)))
    expected = [(name, offset + at) for name, offset, size in ranges for at in range(size)]
    assert found.size == len(expected)
    for begin in range(len(expected)):
        for length in {0, 1, len(expected) - begin}:
            pieces = list(found.find(begin, length))
            seen = [(found.objects[number], offset + at) for number, offset, size in pieces for at in range(size)]
            assert seen == expected[begin : begin + length]
    reach = dict(zip(found.objects, found.reach(), strict=True))
    assert reach == {name: 1 + max(at for other, at in expected if other == name) for name in {n for n, _ in expected}}


@pytest.mark.clause("CS-18@80b127")
def test_too_many_pieces_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout of a piece or a byte more than the limit is refused by counting."""
    monkeypatch.setattr(layouts, "MOST_PIECES", 3)
    pieces = [[0, 2 * number, 1] for number in range(4)]
    assert layouts.decode(layout([A], pieces[:3])).size == 3
    monkeypatch.setattr(layouts, "MOST_BYTES", 200)
    monkeypatch.setattr(json, "decode", None)
    for data in (layout([A], pieces), layout([A, B, *OBJECTS], pieces[:1])):
        with pytest.raises(RejectError) as caught:
            layouts.decode(data)
        assert (caught.value.code, caught.value.error_class) == ("limit-pieces", "limit")


@pytest.mark.clause("CS-1@705691")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json-syntax"),
        (b"{}", "version-form"),
        (b'{"format":"etui-series","version":"1.0"} ', "json-not-canonical"),
        (b'{"format":"etui","version":"1.0"}', "series-form"),
        (b'{"format":"etui-series","version":"2.0"}', "version-unsupported"),
        (b'{"format":"etui-series","version":"1"}', "version-form"),
        (b" " * 70_000, "series-form"),
    ],
)
def test_another_mark_is_refused(data: bytes, code: str) -> None:
    """What is in the place of `series.json` says so in canonical form."""
    with pytest.raises(RejectError) as caught:
        objects.check_mark(data, "a series")
    assert caught.value.code == code


@pytest.mark.clause("CS-2@6d5479", "CS-3@8d44ed")
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("0.json", 0),
        ("12.json", 12),
        (f"{2**53 - 1}.json", 2**53 - 1),
        (f"{2**53}.json", None),
        ("01.json", None),
        ("-1.json", None),
        ("1.JSON", None),
        ("1.json.tmp", None),
        ("१.json", None),
        (".1.json", None),
    ],
)
def test_records_have_the_number_of_their_step_as_name(name: str, step: int | None) -> None:
    """A number in decimal, without zeros in front, and of no more than 2^53 - 1; other names are no record."""
    assert objects.record_number(name) == step
    if step is not None:
        assert objects.record_name(step) == name


@pytest.mark.library
@pytest.mark.parametrize("step", [-1, 2**53, 1.0, True, "1", None])
def test_what_is_no_number_of_a_step_is_refused(step: Any) -> None:
    """Numbers of steps are integers from 0 to 2^53 - 1."""
    with pytest.raises(UsageError) as caught:
        objects.record_name(step)
    assert caught.value.code == "series-number"


@pytest.mark.clause("CS-19@460598")
def test_fields_that_begin_with_x_are_kept() -> None:
    """A record with such fields is written again as it was read."""
    tree = deepcopy(examples("step")[2])
    assert "x-host" in tree
    assert records.decode(json.encode(tree), tree["step"]).extra == {"x-host": tree["x-host"]}
