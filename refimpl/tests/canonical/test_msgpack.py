"""Canonical MessagePack, from formats to hostile documents."""

from __future__ import annotations

import math
import struct
import tracemalloc
from dataclasses import replace
from typing import Any

import msgpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.canonical import msgpack
from etui.canonical.values import StoredTensor, equal
from etui.errors import EtuiError, RejectError
from etui.limits import DEFAULT_LIMITS, Limits
from etui.testing import values as strategies


@pytest.mark.clause("B-1@ddbf33", "B-2@61a878", "B-3@64d9bb", "B-4@1dffb2", "B-5@d7165c", "B-9@8eafc1", "D-5@94980c")
@given(strategies.msgpack_documents())
def test_documents_come_back(document: dict[str, Any]) -> None:
    """A tree has one form, which the strict reader and the msgpack library read as that tree."""
    data = msgpack.encode(document)
    tree = msgpack.decode(data, where="x")
    assert equal(tree, document)
    assert msgpack.encode(tree) == data
    assert equal(msgpack.decode(memoryview(data), where="x"), document)
    assert equal(library.unpackb(data, ext_hook=lambda _, name: StoredTensor(name.decode())), document)


@pytest.mark.clause("B-8@b1194e")
@given(strategies.msgpack_documents())
def test_keys_are_sorted_by_utf8(document: dict[str, Any]) -> None:
    """The order in which a dict was filled does not matter, and its keys are written by the order of their UTF-8."""
    data = msgpack.encode(document)
    assert msgpack.encode(dict(reversed(document.items()))) == data
    raw = [key.encode() for key in library.unpackb(data, ext_hook=lambda *_: None)]
    assert raw == sorted(raw)


FORMATS = {
    "00": 0,
    "7f": 127,
    "cc80": 128,
    "ccff": 255,
    "cd0100": 256,
    "cdffff": 65535,
    "ce00010000": 65536,
    "ceffffffff": 2**32 - 1,
    "cf0000000100000000": 2**32,
    "cfffffffffffffffff": 2**64 - 1,
    "ff": -1,
    "e0": -32,
    "d0df": -33,
    "d080": -128,
    "d1ff7f": -129,
    "d18000": -32768,
    "d2ffff7fff": -32769,
    "d280000000": -(2**31),
    "d3ffffffff7fffffff": -(2**31) - 1,
    "d38000000000000000": -(2**63),
    "cb3ff8000000000000": 1.5,
    "cb8000000000000000": -0.0,
    "cb7ff0000000000000": math.inf,
    "c0": None,
    "a0": "",
    "c400": b"",
    "a2c3a9": "é",
    "d40161": StoredTensor("a"),
    "c70301616263": StoredTensor("abc"),
    "c70301612f62": StoredTensor("a/b"),
}


@pytest.mark.clause("B-2@61a878", "B-3@64d9bb", "B-4@1dffb2", "B-9@8eafc1")
@pytest.mark.parametrize(("form", "value"), FORMATS.items())
def test_each_value_has_the_shortest_format(form: str, value: Any) -> None:
    """A value at the bound of a format is written in the shortest one that holds it."""
    data = bytes.fromhex("81a161" + form)
    assert msgpack.encode({"a": value}) == data
    assert equal(msgpack.decode(data, where="x")["a"], value)


@pytest.mark.clause("B-4@1dffb2")
@pytest.mark.parametrize(
    ("length", "text", "data", "array", "count"),
    [
        (15, "af", "c40f", "9f", "8f"),
        (16, "b0", "c410", "dc0010", "de0010"),
        (31, "bf", "c41f", "dc001f", "de001f"),
        (32, "d920", "c420", "dc0020", "de0020"),
        (255, "d9ff", "c4ff", "dc00ff", "de00ff"),
        (256, "da0100", "c50100", "dc0100", "de0100"),
        (65535, "daffff", "c5ffff", "dcffff", "deffff"),
        (65536, "db00010000", "c600010000", "dd00010000", "df00010000"),
    ],
)
def test_lengths_have_the_shortest_format(length: int, text: str, data: str, array: str, count: str) -> None:
    """A length at the bound of a format is written in the shortest one, for each type that has a length."""
    entries = {f"{number:05d}": 0 for number in range(length)}
    expected = {text: "a" * length, data: b"a" * length, array: [0] * length, count: entries}
    for start, value in expected.items():
        raw = msgpack.encode({"a": value})
        assert raw.startswith(bytes.fromhex("81a161" + start))
        assert msgpack.decode(raw, where="x") == {"a": value}


@pytest.mark.clause("B-3@64d9bb")
@given(st.integers(1, 2**52 - 1), st.booleans())
def test_every_nan_is_written_as_one(payload: int, negative: bool) -> None:
    """A NaN of any payload and sign has the canonical bits in a document."""
    (value,) = struct.unpack(">d", (payload | 0x7FF << 52 | negative << 63).to_bytes(8, "big"))
    assert math.isnan(value)
    assert msgpack.encode({"a": value}) == bytes.fromhex("81a161cb7ff8000000000000")


def cases(mark: pytest.MarkDecorator, code: str, *documents: str) -> list[Any]:
    """Parameters of one clause: documents in hex that its code refuses."""
    return [pytest.param(data, code, marks=mark, id=f"{code}-{data[:24]}") for data in documents]


A = "81a161"
CASES = [
    *cases(
        pytest.mark.clause("B-1@ddbf33"),
        "msgpack-syntax",
        *("", "c0", "90", "00", "a161", "c400", "cb3ff8000000000000", "d40161", "c1", A + "c1"),
        *(A, "8000", "8080", A + "0000", "81", "81a1", "82a16100", "82a16100a1", A + "cb00", A + "cd00", "de", "c7"),
    ),
    *cases(
        pytest.mark.clause("B-2@61a878"),
        "msgpack-not-canonical",
        *(A + "cc00", A + "cc7f", A + "cd00ff", A + "ce0000ffff", A + "cf00000000ffffffff", A + "d000", A + "d07f"),
        *(A + "d0ff", A + "d0e0", A + "d1ff80", A + "d10080", A + "d2ffff8000", A + "d3ffffffff80000000"),
        A + "d30000000000000001",
    ),
    *cases(
        pytest.mark.clause("B-3@64d9bb"),
        "msgpack-not-canonical",
        *(A + "ca00000000", A + "ca3fc00000", A + "ca7fc00000", A + "cb7ff8000000000001", A + "cbfff8000000000000"),
        *(A + "cb7ff0000000000001", A + "cbffffffffffffffff"),
    ),
    *cases(
        pytest.mark.clause("B-4@1dffb2"),
        "msgpack-not-canonical",
        *(A + "d900", A + "d90161", A + "da0000", A + "da001f" + "61" * 31, A + "db00000000", "81d90161" + "00"),
        *(A + "c50000", A + "c60000000161", A + "dc0000", A + "dc000100", A + "dd00000000", "de0000", "df00000000"),
        *("de0001a16100", A + "c7010161", A + "c702016161", A + "c8000301616161", A + "c900000003" + "01616161"),
        *(A + "c7100161" + "61" * 15, A + "c8000101" + "61"),
    ),
    *cases(
        pytest.mark.clause("B-5@d7165c"),
        "msgpack-encoding",
        *(A + "a1ff", A + "a1c3", A + "a2c080", A + "a3eda080", A + "a6eda080edb080", "81a1ff00", A + "a4f4908080"),
    ),
    *cases(
        pytest.mark.clause("B-6@08d283"),
        "msgpack-key",
        *("810000", "81c000", "81c3c3", "81c4016100", "81cb3ff800000000000000", "819000", "818000", "81d4016100"),
        *(A + "810000", "82a161000000", "82a16100c40161" + "00"),
    ),
    *cases(
        pytest.mark.clause("B-7@b2e0ed"),
        "msgpack-duplicate-key",
        *("82a16100a16100", "82a16100a16101", "83a16100a16200a16100", A + "82a000a000", "82a000a000"),
    ),
    *cases(
        pytest.mark.clause("B-8@b1194e"),
        "msgpack-not-canonical",
        *("82a16200a16100", "82a2616100a16100", A + "82a16200a16100", "82a2c3a900a16500", "83a16100a16300a16200"),
        "82a4f09f988000a3efacb300",
    ),
    *cases(
        pytest.mark.clause("B-9@8eafc1"),
        "msgpack-extension",
        *(A + "d40061", A + "d40261", A + "d4ff00", A + "d6ff00000000", A + "d7ff0000000000000000", A + "d47f61"),
        *(A + "c70cff" + "00" * 12, A + "c70000", A + "d401ff", A + "d501c3c3", A + "d6018080" + "8080"),
    ),
    *cases(
        pytest.mark.clause("B-10@2807e6"),
        "msgpack-syntax",
        *(A + "a2", A + "bf61", A + "d9ff", A + "daffff", A + "dbffffffff", A + "c4ff", A + "c5ffff", A + "c6ffffffff"),
        *(A + "91", A + "dcffff00", A + "ddffffffff00", A + "81", A + "deffff", A + "dfffffffff", "dfffffffff", "8f"),
        *(A + "d401", A + "d801", A + "c7ff01", A + "c8ffff01", A + "c9ffffffff01", A + "9200", A + "81a161"),
    ),
    *cases(
        pytest.mark.clause("B-11@bf4fe0"),
        "msgpack-depth",
        *(
            A + "91" * 128 + "00",
            A + "91" * 127 + "90",
            A * 129 + "00",
            A + "91" * 10**5,
            A * 10**5,
            A + "91" * 127 + "80",
        ),
    ),
]


@pytest.mark.parametrize(("data", "code"), CASES)
def test_other_documents_are_refused(data: str, code: str) -> None:
    """A document that breaks one clause is refused with that clause's code, at a byte that the message names."""
    with pytest.raises(RejectError) as refusal:
        msgpack.decode(bytes.fromhex(data), where="state.msgpack")
    assert refusal.value.code == code
    assert refusal.value.where.startswith("state.msgpack")
    assert len(str(refusal.value)) < 500


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("data", "byte"),
    [(A + "cc00", 3), ("82a16200a16100", 4), (A + "92a161a2c3ff", 7), ("8000", 1), (A + "9100" + "00", 5)],
)
def test_the_place_of_a_fault_is_reported(data: str, byte: int) -> None:
    """A refusal names the byte at which the faulty value, key or character begins."""
    with pytest.raises(RejectError) as refusal:
        msgpack.decode(bytes.fromhex(data), where="x")
    assert refusal.value.where == f"x, byte {byte}"


@pytest.mark.clause("B-11@bf4fe0")
def test_the_limit_of_depth_is_exact() -> None:
    """A document of 128 levels is read and written, and one more level is refused."""
    data = bytes.fromhex(A + "91" * 127 + "00")
    tree = msgpack.decode(data, where="x")
    assert msgpack.encode(tree) == data
    with pytest.raises(EtuiError, match="msgpack-depth"):
        msgpack.encode({"a": tree})
    with pytest.raises(RejectError, match="msgpack-depth"):
        msgpack.decode(bytes.fromhex(A + "90"), where="x", limits=replace(DEFAULT_LIMITS, depth=1))


@pytest.mark.clause("B-10@2807e6", "X-2@ca2f55")
@pytest.mark.parametrize(("kind", "size"), [("dd", 1), ("df", 2), ("db", 1), ("c6", 1)])
def test_nothing_is_allocated_for_declared_lengths(kind: str, size: int) -> None:
    """A hundred nested lengths, each as large as the bytes left allow, cost no memory for what is not there."""
    tail = bytes(10**5)
    start = bytes.fromhex(A)
    for level in range(100):
        left = (100 - level) * 5 + len(tail)
        start += bytes.fromhex(kind) + (left // size - 10).to_bytes(4, "big")
        if kind == "df":
            start += bytes.fromhex("a161")
    tracemalloc.start()
    try:
        with pytest.raises(RejectError):
            msgpack.decode(start + tail, where="x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * len(tail)


@pytest.mark.clause("E-2@310409", "D-6@2ef66e")
@given(strategies.msgpack_documents(), st.data())
def test_damaged_documents_are_refused_or_canonical(document: dict[str, Any], data: st.DataObject) -> None:
    """A document with bytes changed, cut out or put in is refused with a code, or is the canonical form of another."""
    raw = msgpack.encode(document)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(start + 3, len(raw))))
    damaged = raw[:start] + data.draw(st.binary(max_size=3)) + raw[end:]
    try:
        tree = msgpack.decode(damaged, where="x")
    except RejectError:
        return
    assert msgpack.encode(tree) == damaged


@pytest.mark.clause("E-2@310409")
@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    """No bytes make the reader raise anything but a coded refusal."""
    for document in (data, bytes.fromhex(A) + data):
        try:
            tree = msgpack.decode(document, where="x")
        except RejectError:
            continue
        assert msgpack.encode(tree) == document


@pytest.mark.clause("L-1@edac1f", "L-2@76176e", "L-3@a15eb3")
def test_documents_and_strings_beyond_a_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Size of document, string, byte string and name is checked in bytes, when reading and when writing."""

    def check(code: str, lowered: Limits, document: dict[str, Any]) -> None:
        data = msgpack.encode(document)
        with pytest.raises(EtuiError, match=code):
            msgpack.decode(data, where="x", limits=lowered)
        with monkeypatch.context() as patch:
            patch.setattr(msgpack, "DEFAULT_LIMITS", lowered)
            with pytest.raises(EtuiError, match=code):
                msgpack.encode(document)

    check("limit-document", replace(DEFAULT_LIMITS, document_bytes=5), {"a": "éé"})
    for document in ({"a": "é" * 5}, {"é" * 5: 1}, {"a": [b"x" * 10]}, {"a": StoredTensor("x" * 10)}):
        check("value-limit", replace(DEFAULT_LIMITS, string_bytes=9), document)
    enough = replace(DEFAULT_LIMITS, string_bytes=9, document_bytes=13)
    assert msgpack.decode(msgpack.encode({"a": "é1234567"}), where="x", limits=enough) == {"a": "é1234567"}


@pytest.mark.library
@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"a": 2**64}, "value-type"),
        ({"a": -(2**63) - 1}, "value-type"),
        ({"a": (1,)}, "value-type"),
        ({"a": {1}}, "value-type"),
        ({"a": 1j}, "value-type"),
        ({"a": "\ud800"}, "msgpack-encoding"),
        ({"\ud800": 1}, "msgpack-encoding"),
        ({"a": StoredTensor("\ud800")}, "msgpack-encoding"),
        ({1: 1}, "msgpack-key"),
        ({b"a": 1}, "msgpack-key"),
        ([], "value-type"),
    ],
)
def test_what_messagepack_cannot_hold_is_not_written(tree: Any, code: str) -> None:
    """Large integers, lone surrogates, other keys than strings and other types are refused when writing."""
    with pytest.raises(EtuiError) as refusal:
        msgpack.encode(tree)
    assert refusal.value.code == code
