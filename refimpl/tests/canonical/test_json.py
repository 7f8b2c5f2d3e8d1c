"""Canonical JSON, from numbers to hostile documents."""

from __future__ import annotations

import json as standard
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.canonical import json
from etui.errors import EtuiError, RejectError
from etui.limits import DEFAULT_LIMITS
from etui.testing import values as strategies


@pytest.mark.clause("J-7@920d0a", "D-5@94980c", "J-2@ab8b71")
@given(strategies.json_documents())
def test_documents_come_back(document: dict[str, Any]) -> None:
    """A tree has one text, which the strict reader and any other JSON parser read as that tree."""
    data = json.encode(document)
    assert standard.loads(data) == document
    tree = json.decode(data, where="x")
    assert tree == document
    assert json.encode(tree) == data
    assert json.decode(memoryview(data), where="x") == document


@pytest.mark.clause("J-7@920d0a")
@given(strategies.json_documents())
def test_the_order_of_keys_does_not_matter(document: dict[str, Any]) -> None:
    """Two dicts of the same entries in another order have the same bytes."""
    assert json.encode(dict(reversed(document.items()))) == json.encode(document)


@pytest.mark.clause("J-7@920d0a")
def test_keys_are_sorted_by_utf_16() -> None:
    """The keys of the sample in section 3.2.3 of RFC 8785 are sorted as there."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    data = json.encode(dict.fromkeys(keys, 0))
    assert list(standard.loads(data)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert json.decode(data, where="x") == dict.fromkeys(keys, 0)


@pytest.mark.clause("J-7@920d0a")
def test_strings_have_the_escapes_of_rfc_8785() -> None:
    """The string of the sample in section 3.2.2 of RFC 8785 is written as there, and so is every character of ASCII."""
    assert json.encode({"s": '\u20ac$\x0f\nA\'B"\\\\"/'}) == '{"s":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    for character in map(chr, range(128)):
        escaped = short.get(character, f"\\u{ord(character):04x}" if character < " " else character)
        assert json.encode({"s": character}) == f'{{"s":"{escaped}"}}'.encode()


def nested(levels: int) -> bytes:
    """A document of so many levels."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def cases(mark: pytest.MarkDecorator, code: str, *documents: bytes) -> list[Any]:
    """Parameters of one clause: documents that its code refuses."""
    return [pytest.param(data, code, marks=mark, id=f"{code}-{number}") for number, data in enumerate(documents)]


CASES = [
    *cases(
        pytest.mark.clause("J-1@e6c684"),
        "json-encoding",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"a":"\xe9"}',
        b'{"a":"\xc3"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xf4\x90\x80\x80"}',
        b'{"a":"\xed"}',
        b'{"a":"\xed\xa0"}',
        b'{"a":"\xed\xf1\x80"}',
        '{"a":1}'.encode("utf-16"),
    ),
    *cases(
        pytest.mark.clause("J-2@ab8b71"),
        "json-syntax",
        *(b"", b" ", b"[]", b"1", b'"a"', b"null", b"{", b"}", b"{}}", b"{}{}", b'{"a"}', b'{"a":}', b"{,}", b"[1"),
        *(b'{"a":1,}', b'{"a":[1,]}', b"{'a':1}", b"{a:1}", b'{"a":tru}', b'{"a":True}', b'{"a":1 2}', b'{"a":"b'),
        *(b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":-}', b'{"a":0x10}', b'{"a":1e}', b'{"a":"\\x41"}'),
        *(b'{"a":"\\u12"}', b'{"a":"\n"}', b'{"a":"\x00"}', b'{"a":1}\x00', b"\x00", b'{"a":1}//', b"{1:2}", b"\x0b{}"),
        *(b'{"a":\xc2\xa01}', b'{"a":"\\u00 1"}', b'{"a":"\\u+123"}', b'{"a":1_0}', '{"a":١}'.encode()),
    ),
    *cases(
        pytest.mark.clause("J-3@4f25bc"),
        "json-duplicate-key",
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":[{"a":1,"b":{"c":1,"c":1}}]}',
        '{"é":1,"é":2}'.encode(),
        b'{"":1,"":2}',
    ),
    *cases(
        pytest.mark.clause("J-4@3d514b"),
        "json-syntax",
        *(b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":[1,NaN]}', b"NaN", b'{"a":nan}', b'{"a":-NaN}'),
        *(b'{"a":inf}', b'{"b":1,"a":NaN}'),
    ),
    *cases(
        pytest.mark.clause("J-5@7844b3"),
        "json-surrogate",
        *(b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"a":"\\ud800x"}', b'{"a":"\\udc00\\ud800"}', b'{"\\ud800":1}'),
        *(b'{"a":"\\uD83D"}', b'{"a":"\\ud83d\\u0041"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xed\xbf\xbf"}'),
    ),
    *cases(
        pytest.mark.clause("J-6@c73cf7"),
        "json-number",
        *(
            b'{"a":1.0}',
            b'{"a":-0}',
            b'{"a":-0.0}',
            b'{"a":0.0}',
            b'{"a":1e2}',
            b'{"a":1E2}',
            b'{"a":1e400}',
            b'{"a":0e0}',
        ),
        *(
            b'{"a":0.50}',
            b'{"a":5e-1}',
            b'{"a":1e-6}',
            b'{"a":0.0000001}',
            b'{"a":1e-07}',
            b'{"a":1E-7}',
            b'{"a":10e-8}',
        ),
        *(
            b'{"a":0.1000000000000000055}',
            b'{"a":1.0e-7}',
            b'{"a":1e-400}',
            b'{"a":1e21}',
            b'{"a":1e+21}',
            b'{"a":2.5e0}',
        ),
        *(b'{"a":9007199254740992}', b'{"a":-9007199254740992}', b'{"a":18446744073709551616}', b'{"b":1,"a":[1.0]}'),
        *(b'{"a":' + b"9" * 10**6 + b"}", b'{"a":0.' + b"1" * 10**6 + b"}", b'{"a":1e' + b"9" * 10**6 + b"}"),
    ),
    *cases(
        pytest.mark.clause("J-7@920d0a"),
        "json-not-canonical",
        *(b" {}", b"{} ", b"{}\n", b'{"a": 1}', b'{ "a":1}', b'{"a":[1, 2]}', b'{"b":1,"a":2}', b'{"a":"\\u0041"}'),
        *(
            b'{"a":"\\/"}',
            b'{"a":"\\u000A"}',
            b'{"a":"\\u001F"}',
            b'{"a":"\\u0008"}',
            b'{"a":"\\u007f"}',
            b'{"\\u0061":1}',
        ),
        *(b'{"a":"\\ud83d\\ude00"}', b'{"a":"\\u2028"}', b'{"a":1e-7,"A":1}', '{"\ufb33":1,"\U0001f600":2}'.encode()),
        *('{"é":1,"e":2}'.encode(), b'{"a":{"aa":1,"a":2}}', b'{"a":1e-7,"b":"\\u0041"}'),
    ),
    *cases(
        pytest.mark.clause("J-8@055c86"),
        "json-depth",
        nested(129),
        nested(100_000),
        b'{"a":' * 100_000,
        b"[" * 10**6,
        b'{"a":"\\\\",' + nested(130)[1:],
    ),
]


@pytest.mark.parametrize(("data", "code"), CASES)
def test_other_documents_are_refused(data: bytes, code: str) -> None:
    """A document that breaks one clause is refused with that clause's code, and the message stays short."""
    with pytest.raises(RejectError) as refusal:
        json.decode(data, where="config.json")
    assert refusal.value.code == code
    assert refusal.value.where.startswith("config.json")
    assert len(str(refusal.value)) < 500


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"a":[1,{"b":2.0}]}', "x, byte 13 at a/1/b"),
        ('{"é":{"a":1,"a":2}}'.encode(), "x, byte 13 at é"),
        (b'{"a":"\\\\","b":[[],{},"\\ud800"]}', "x, byte 21 at b/2"),
        (b'{"a":[0,x]}', "x, byte 8"),
        (b'{"a":"\xff"}', "x, byte 6"),
        (b'{"a":[1, 2]}', "x, byte 8"),
        (b'{"aa":1,"a":2}', "x, byte 3"),
        (b"{}\n", "x, byte 2"),
    ],
)
def test_the_place_of_a_fault_is_reported(data: bytes, where: str) -> None:
    """A refusal names the byte at which the document goes wrong, and the path of a faulty key, string or number."""
    with pytest.raises(RejectError) as refusal:
        json.decode(data, where="x")
    assert refusal.value.where == where


@pytest.mark.clause("J-8@055c86")
def test_the_limit_of_depth_is_exact() -> None:
    """A document of 128 levels is read and written, one more is refused, and brackets in strings do not count."""
    deepest = json.decode(nested(128), where="x")
    assert json.encode(deepest) == nested(128)
    for beyond in ({"a": deepest}, {"a": deepest, "b": 1e-7}):
        with pytest.raises(EtuiError, match="json-depth"):
            json.encode(beyond)
    flat = {'[{"\\"': "[[{{" * 100, "a": ["]", "\\", "[" * 200, '\\"[', "{}"] * 50}
    assert json.decode(json.encode(flat), where="x") == flat
    with pytest.raises(RejectError, match="json-depth"):
        json.decode(b'{"a":[]}', where="x", limits=replace(DEFAULT_LIMITS, depth=1))


@pytest.mark.clause("J-8@055c86", "E-2@310409")
def test_deep_documents_do_not_exhaust_the_stack() -> None:
    """Nesting of 10^6 levels is refused by a caller whose recursion limit would let the parser overflow the C stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        for data in (nested(10**6), b'{"a":' * 10**6, b"[" * 10**6):
            with pytest.raises(RejectError, match="json-depth"):
                json.decode(data, where="x")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.clause("E-2@310409", "D-6@2ef66e")
@given(strategies.json_documents(), st.data())
def test_damaged_documents_are_refused_or_canonical(document: dict[str, Any], data: st.DataObject) -> None:
    """A document with bytes changed, cut out or put in is refused with a code, or is the canonical form of another."""
    raw = json.encode(document)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(start + 3, len(raw))))
    pieces = st.sampled_from(
        [b",", b'"', b"\\", b"\\u", b"0", b"-", b"1e5", b".5", b"NaN", b"{", b"}", b"[", b"]", b" "]
    )
    damaged = raw[:start] + data.draw(pieces | st.binary(max_size=3)) + raw[end:]
    try:
        tree = json.decode(damaged, where="x")
    except RejectError:
        return
    assert json.encode(tree) == damaged


@pytest.mark.clause("E-2@310409")
@given(st.binary(max_size=40) | st.text('{}[],:"\\ntu01.eE-NaI ', max_size=20).map(str.encode))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    """No bytes make the reader raise anything but a coded refusal."""
    try:
        tree = json.decode(data, where="x")
    except RejectError:
        return
    assert json.encode(tree) == data
