"""Protocol Buffers on the wire: what is read, what is refused, and that unknown fields stay."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.storage.protobuf import Field, Message, Schema, decode, encode, read_varint, varint

INNER = Schema("Inner", {1: Field("id", "int32"), 2: Field("name", "string")})
OUTER = Schema(
    "Outer",
    {
        1: Field("inner", "message", repeated=True, message=INNER),
        2: Field("one", "message", message=INNER),
        3: Field("sizes", "int64", repeated=True),
        4: Field("weights", "float", repeated=True),
        5: Field("flag", "bool"),
        6: Field("crc", "fixed32"),
        7: Field("data", "bytes"),
        8: Field("big", "uint64"),
        9: Field("wide", "fixed64"),
        10: Field("exact", "double"),
        11: Field("small", "uint32"),
        12: Field("loose", "int32", repeated=True, packed=False),
    },
)
OUTER.fields[20] = Field("again", "message", message=OUTER)
NOTHING = Schema("Nothing", {})


def whole() -> Message:
    """A message of every kind of field."""
    return Message(
        OUTER,
        {
            "inner": [Message(INNER, {"id": -1, "name": "ä"}), Message(INNER)],
            "one": Message(INNER, {"id": 5}),
            "sizes": [1, -1, 2**40],
            "weights": [1.5, -2.5],
            "flag": True,
            "crc": 0xFFFF_FFFF,
            "data": b"\0\xff",
            "big": 2**64 - 1,
            "wide": 2**63,
            "exact": 0.1,
            "small": 2**32 - 1,
            "loose": [1, 2],
            "again": Message(OUTER, {"flag": False}),
        },
    )


@pytest.mark.library
def test_every_kind_of_field_comes_back() -> None:
    """What was encoded is decoded to the same values, defaults that were set included."""
    assert decode(OUTER, encode(whole())) == whole()
    assert encode(decode(OUTER, encode(whole()))) == encode(whole())


@pytest.mark.library
@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        ("089601", "id", 150),
        ("120774657374696e67", "name", "testing"),
        ("08ffffffffffffffffff01", "id", -1),
    ],
)
def test_the_examples_of_the_encoding_guide_decode(data: str, name: str, value: object) -> None:
    """The published vectors have their published values."""
    assert decode(INNER, bytes.fromhex(data))[name] == value


@pytest.mark.library
def test_lists_of_numbers_are_read_packed_and_one_by_one() -> None:
    """Both forms of a list, and a mix of them, give the same values in order."""
    packed, single = bytes.fromhex("1a03010203"), bytes.fromhex("180118021803")
    assert decode(OUTER, packed)["sizes"] == decode(OUTER, single)["sizes"] == [1, 2, 3]
    assert decode(OUTER, single + packed)["sizes"] == [1, 2, 3, 1, 2, 3]


@pytest.mark.library
def test_what_is_not_set_has_the_default_of_its_kind() -> None:
    """Absent fields read as empty, zero or nothing, and an unknown name is an error of the caller."""
    message = decode(OUTER, b"")
    assert [message[name] for name in ("inner", "one", "flag", "data", "big", "exact")] == [[], None, False, b"", 0, 0]
    with pytest.raises(KeyError):
        message["other"]
    with pytest.raises(KeyError):
        encode(Message(INNER, {"other": 1}))


@pytest.mark.clause("KT-3@bd51b6")
@given(st.binary(max_size=40))
def test_unknown_fields_stay_byte_for_byte(content: bytes) -> None:
    """A message of fields that no table names is written as it was, behind the known ones."""
    unknown = b"\xa2\x06" + varint(len(content)) + content + bytes.fromhex("f801078d020d0c0b0a91030102030405060708")
    message = decode(INNER, unknown + b"\x08\x05")
    assert (message["id"], message.unknown) == (5, unknown)
    assert encode(message) == b"\x08\x05" + unknown
    assert encode(decode(NOTHING, unknown)) == unknown


BAD = {
    "a varint that ends early": "08ff",
    "a varint of eleven bytes": "08" + "ff" * 10 + "01",
    "a varint of more than 64 bits": "08" + "ff" * 9 + "02",
    "a length beyond the end": "120574",
    "a huge length": "12ffffffffffffffff7f",
    "a fixed32 that ends early": "350d0c",
    "a fixed64 that ends early": "4901",
    "a group": "0b0c",
    "the end of a group": "0c",
    "the wire type 6": "0e",
    "the wire type 7": "0f",
    "the field number 0": "0001",
    "text that is not UTF-8": "1a02c328",
    "a scalar twice": "28012801",
    "a message twice": "12001200",
    "another wire type": "2d00000000",
    "a packed float of 3 bytes": "2203000000",
    "a submessage that is longer than it": "0a0208ff01",
}


@pytest.mark.clause("KT-1@e48126")
@pytest.mark.parametrize("fault", BAD)
def test_messages_that_do_not_decode_are_refused(fault: str) -> None:
    """Each fault of the wire form has the code for it."""
    data = bytes.fromhex(BAD[fault])
    schema = INNER if fault in ("a varint that ends early", "a length beyond the end") else OUTER
    if fault == "text that is not UTF-8":
        schema = Schema("Text", {3: Field("text", "string")})
    if fault.startswith("a varint of"):
        schema = INNER
    with pytest.raises(EtuiError) as caught:
        decode(schema, data, where="x")
    assert (caught.value.code, caught.value.where) == ("protobuf-syntax", "x")


@pytest.mark.clause("KT-2@51f82e")
def test_deep_large_and_crowded_messages_are_refused_in_time() -> None:
    """Depth, size and number of fields are bounded, and a refusal takes little time."""
    deep = b""
    for _ in range(200):
        deep = b"\xa2\x01" + varint(len(deep)) + deep
    small = replace(DEFAULT_LIMITS, document_bytes=10)
    cases = [
        (deep, DEFAULT_LIMITS),
        (b"\x0a\x00" * 1_100_000, DEFAULT_LIMITS),
        (b"\x1a\x04\x01\x01\x01\x01" * 3, small),
    ]
    cases.append((b"\x1a" + varint(1_200_000) + b"\x01" * 1_200_000, DEFAULT_LIMITS))
    met = []
    for data, limits in cases:
        begin = time.process_time()
        with pytest.raises(EtuiError) as caught:
            decode(OUTER, data, limits=limits)
        met.append((caught.value.code, time.process_time() - begin < 4))
    assert met == [("limit-foreign", True)] * len(cases)


@pytest.mark.library
@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([INNER, OUTER, NOTHING]))
def test_any_bytes_decode_or_are_refused(data: bytes, schema: Schema) -> None:
    """Nothing but an error of Etui comes out of any bytes, and what decodes is stable."""
    try:
        message = decode(schema, data)
    except EtuiError as refusal:
        assert refusal.code == "protobuf-syntax"  # noqa: PT017  the other way out is success
    else:
        again = encode(message)
        assert encode(decode(schema, again)) == again


@pytest.mark.library
@given(st.integers(0, 2**64 - 1))
def test_varints_come_back(number: int) -> None:
    """Each number of 64 bits has its varint, of ten bytes at most."""
    data = varint(number)
    assert read_varint(data, 0, len(data)) == (number, len(data))
    assert len(data) <= 10
