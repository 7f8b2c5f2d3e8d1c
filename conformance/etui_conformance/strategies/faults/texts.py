"""Faults of canonical JSON and MessagePack (chapters 3 and 4), in any document that is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.oracle import msgpack
from etui_conformance.strategies.drafts import JSON_DOCUMENTS, MANIFEST, MSGPACK_DOCUMENTS, Parts, reseal, seal
from etui_conformance.strategies.faults.base import Case, Fault, Given, Host, Ways, in_parts, register
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.scope import Scope

_FIELD = "x-host"
_MARK = "a place for other bytes"
_JSON_MARK = f'"{_MARK}"'.encode()
_PACKED_MARK = bytes([0xA0 | len(_MARK)]) + _MARK.encode()
_ANY = Host()
_PACKED = Host(("state",))
_DEEP = 128
_TOO_DEEP = "nested too deep"

Put = Callable[[Parts, str, object, bytes], Parts]


def _set(parts: Parts, name: str, data: bytes) -> Parts:
    """The parts with other bytes of a document, which the manifest agrees with."""
    return {**parts, name: data} if name == MANIFEST else reseal({**parts, name: data})


def _token(clauses: str, codes: str, name: str, tokens: Sequence[bytes], *, host: Host, put: Put, valid: bytes) -> None:
    """Declare a fault of one of some tokens, where another token may stand.

    Args:
        clauses: ids, separated by spaces.
        codes: the same.
        name: of the fault.
        tokens: the faulty ones.
        host: what the artifact must have.
        put: makes an artifact with a token in one of its documents.
        valid: the token of the valid artifact.
    """

    def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
        parts = seal(host.draw(draw, scope))
        document, wrapped = draw(_documents(host, parts)), draw(st.sampled_from([_MARK, [_MARK], {"a": _MARK}]))
        deep = name == _TOO_DEEP  # then each level counts
        faulty = ways.made(
            draw, lambda turn: Given(put(parts, document, _MARK if deep else wrapped, pick(turn, *tokens)))
        )
        return Case(Given(put(parts, document, _MARK if deep else wrapped, valid)), faulty)

    register(Fault(tuple(clauses.split()), tuple(codes.split()), name, host.capabilities(), case))


def _documents(host: Host, parts: Parts) -> st.SearchStrategy[str]:
    """The documents of an artifact in JSON, or in MessagePack where the host needs these."""
    names = MSGPACK_DOCUMENTS if host is _PACKED else (*JSON_DOCUMENTS, MANIFEST)
    return st.sampled_from([name for name in names if name in parts])


def _put_json(parts: Parts, document: str, wrapped: object, token: bytes) -> Parts:
    tree = canonical.decode(parts[document])
    return _set(parts, document, canonical.encode({**tree, _FIELD: wrapped}).replace(_JSON_MARK, token))


def _put_packed(parts: Parts, document: str, wrapped: object, token: bytes) -> Parts:
    tree = msgpack.decode(parts[document])
    return _set(parts, document, msgpack.encode({**tree, _FIELD: wrapped}).replace(_PACKED_MARK, token))


def _json_token(clauses: str, codes: str, name: str, *tokens: bytes, valid: bytes = b"1") -> None:
    """Declare a fault of one of some tokens, where any JSON may stand."""
    _token(clauses, codes, name, tokens, host=_ANY, put=_put_json, valid=valid)


def _json_bytes(clauses: str, codes: str, name: str, *changes: Callable[[bytes], bytes]) -> None:
    """Declare a fault of the bytes of a document in JSON."""

    @in_parts(clauses, codes, name, _ANY)
    def change(draw: st.DrawFn, parts: Parts) -> Parts:
        document = draw(_documents(_ANY, parts))
        return _set(parts, document, pick(draw, *changes)(parts[document]))


_json_bytes("J-1", "json-encoding", "byte order mark", lambda data: b"\xef\xbb\xbf" + data)
_json_bytes("J-1", "json-encoding", "another encoding", lambda data: data.decode().encode("utf-16"))
_json_token(
    "J-1", "json-encoding", "bytes that are no UTF-8", b'"\xff"', b'"\xc0\x80"', b'"\xe2\x82"', b'"\xf5\x80\x80\x80"'
)
_json_token(
    "J-5 J-1", "json-surrogate json-encoding", "surrogate in UTF-8", b'"\xed\xa0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"'
)
_json_bytes(
    "J-2",
    "json-syntax",
    "document cut short",
    lambda data: data[:-1],
    lambda data: data[: len(data) // 2],
    lambda _: b"",
)
_json_bytes(
    "J-2",
    "json-syntax",
    "bytes after the document",
    lambda data: data + b"}",
    lambda data: data + b"{}",
    lambda data: data + b"\0",
)
_json_bytes(
    "J-2",
    "json-syntax",
    "no object",
    lambda _: b"[]",
    lambda _: b"null",
    lambda _: b'"a"',
    lambda data: b"[" + data + b"]",
)
_json_token(
    "J-2",
    "json-syntax",
    "token of no JSON",
    b"'a'",
    b"nul",
    b"[1,]",
    b"{,}",
    b"+1",
    b".5",
    b"01",
    b"1.",
    b"0x1",
    b'"\t"',
    b'"\\a"',
    b"//a\n1",
)
_json_bytes(
    "J-3",
    "json-duplicate-key",
    "field twice",
    lambda data: data.replace(b'"version":"1.0"', b'"version":"1.0","version":"1.0"'),
)
_json_token("J-3", "json-duplicate-key", "key twice", b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'{"":0,"":1}')
_json_token("J-4", "json-syntax", "number that is none", b"NaN", b"Infinity", b"-Infinity")
_json_token(
    "J-5",
    "json-surrogate",
    "lone surrogate",
    b'"\\ud800"',
    b'"\\udc00"',
    b'"\\udc00\\ud800"',
    b'"\\ud83d\\ud83d\\ude00"',
    b'{"\\ud800":1}',
)
_json_token("J-6", "json-number", "integer with a fraction", b"1.0", b"0.0", b"-5.0", b"1e2", b"1E2", b"1e0")
_json_token(
    "J-6",
    "json-number",
    "integer beyond the limit",
    b"9007199254740992",
    b"-9007199254740992",
    b"1" + b"0" * 30,
    b"1e21",
    b"1e300",
)
_json_token("J-6", "json-number", "number beyond all floats", b"1e400", b"-1e999", b"1" + b"0" * 400)
_json_token(
    "J-6",
    "json-number",
    "number in another form than the shortest",
    b"0.50",
    b"0.1e1",
    b"1e-07",
    b"5e-1",
    b"0.10000000000000001",
    b"1E-7",
    b"0.0000001",
)
_json_token("J-6", "json-number", "negative zero", b"-0", b"-0.0", b"-0e1")
_json_bytes(
    "J-7 D-6",
    "json-not-canonical",
    "white space",
    lambda data: data.replace(b":", b": ", 1),
    lambda data: b" " + data,
    lambda data: data[:-1] + b"\n}",
)
_json_bytes("J-7 D-6", "json-not-canonical", "final newline", lambda data: data + b"\n", lambda data: data + b"\r\n")
_json_token(
    "J-7 D-6",
    "json-not-canonical",
    "escape without need",
    b'"\\u0061"',
    b'"\\/"',
    b'"\\u00e9"',
    b'"\\ud83d\\ude00"',
    b'"\\u000a"',
    b'"\\u001F"',
)
_json_token(
    "J-7 D-6",
    "json-not-canonical",
    "keys out of order",
    b'{"b":1,"a":2}',
    b'{"a":1,"A":2}',
    b'{"aa":1,"a":2}',
    '{"\ufb33":1,"\U0001f600":2}'.encode(),
)
_json_token(
    "J-8 L-2 D-6",
    "json-depth",
    _TOO_DEEP,
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    b"[" * 100_000 + b"]" * 100_000,
    valid=b"[" * (_DEEP - 1) + b"]" * (_DEEP - 1),
)


def _packed_token(clauses: str, codes: str, name: str, *tokens: bytes, valid: bytes = b"\x01") -> None:
    """Declare a fault of one of some encodings, where any value may stand."""
    _token(clauses, codes, name, tokens, host=_PACKED, put=_put_packed, valid=valid)


def _packed_bytes(clauses: str, codes: str, name: str, *changes: Callable[[bytes], bytes]) -> None:
    """Declare a fault of the bytes of a document in MessagePack."""

    @in_parts(clauses, codes, name, _PACKED)
    def change(draw: st.DrawFn, parts: Parts) -> Parts:
        document = draw(_documents(_PACKED, parts))
        return _set(parts, document, pick(draw, *changes)(parts[document]))


def _hex(*texts: str) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, texts))


_packed_bytes(
    "B-1",
    "msgpack-syntax",
    "bytes after the map",
    lambda data: data + b"\0",
    lambda data: data + b"\x80",
    lambda data: data + b"\xc0",
)
_packed_bytes(
    "B-1", "msgpack-syntax", "map cut short", lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda _: b""
)
_packed_bytes(
    "B-1",
    "msgpack-syntax",
    "no map",
    lambda _: b"\x90",
    lambda _: b"\xc0",
    lambda data: b"\x91" + data,
    lambda _: b"\x01",
)
_packed_token("B-1", "msgpack-syntax", "byte that begins nothing", b"\xc1")
_packed_token(
    "B-2 D-6",
    "msgpack-not-canonical",
    "integer in a longer format",
    *_hex(
        "cc05",
        "cc7f",
        "cd00ff",
        "ce0000ffff",
        "cf00000000ffffffff",
        "d0ff",
        "d0e0",
        "d1ff80",
        "d2ffff8000",
        "d3ffffffff80000000",
    ),
)
_packed_token(
    "B-2 D-6",
    "msgpack-not-canonical",
    "integer in a signed format",
    *_hex("d005", "d10100", "d200010000", "d30000000100000000"),
)
_packed_token("B-3 D-6", "msgpack-not-canonical", "float of 32 bits", *_hex("ca3f000000", "ca7fc00000", "ca00000000"))
_packed_token(
    "B-3 D-6",
    "msgpack-not-canonical",
    "NaN of other bits",
    *_hex("cb7ff8000000000001", "cbfff8000000000000", "cb7ff0000000000001", "cb7fffffffffffffff"),
)
_packed_token(
    "B-4 D-6",
    "msgpack-not-canonical",
    "string of a longer format",
    *_hex("d90161", "da000161", "db0000000161", "d900"),
    b"\xda\x00\x20" + b"a" * 32,
)
_packed_token(
    "B-4 D-6", "msgpack-not-canonical", "bytes of a longer format", *_hex("c5000161", "c60000000161", "c50000")
)
_packed_token(
    "B-4 D-6",
    "msgpack-not-canonical",
    "array of a longer format",
    *_hex("dc0000", "dc000101", "dd0000000101"),
    b"\xdd\x00\x00\x00\x10" + bytes(16),
)
_packed_token(
    "B-4 D-6", "msgpack-not-canonical", "map of a longer format", *_hex("de0000", "de0001a16101", "df00000001a16101")
)
_packed_token(
    "B-5", "msgpack-encoding", "string that is no UTF-8", *_hex("a1ff", "a2c080", "a1c3", "a4f5808080", "81a1ff01")
)
_packed_token("B-5", "msgpack-encoding", "surrogate in UTF-8", *_hex("a3eda080", "a6eda0bdedb880"))
_packed_token(
    "B-6",
    "msgpack-key",
    "key that is no string",
    *_hex("810101", "81c001", "81c4016101", "819001", "81c301", "81cb3fe000000000000001"),
)
_packed_token("B-7", "msgpack-duplicate-key", "key twice", *_hex("82a16101a16101", "82a001a002"))
_packed_token(
    "B-8 D-6",
    "msgpack-not-canonical",
    "keys out of order",
    *_hex("82a16201a16102", "82a2616101a16102"),
    b"\x82\xa4" + "\U0001f600".encode() + b"\x01\xa3" + "\ufb33".encode() + b"\x02",
)
_packed_token(
    "B-9",
    "msgpack-extension",
    "extension of another type",
    *_hex(
        "d40200", "d40000", "d6ff00000000", "d7ff0000000000000000", "c70cff000000000000000000000000", "c700ff", "d47f61"
    ),
)
_packed_token(
    "B-10",
    "msgpack-syntax",
    "length beyond the bytes",
    *_hex("dbffffffff", "ddffffffff", "dfffffffff", "c6ffffffff", "c9ffffffff01", "dcffff", "daffff", "deffff"),
)
_packed_token(
    "B-11 L-2 D-6",
    "msgpack-depth",
    _TOO_DEEP,
    b"\x91" * _DEEP + b"\x90",
    b"\x81\xa1a" * _DEEP + b"\xc0",
    b"\x91" * 100_000 + b"\x90",
    valid=b"\x91" * (_DEEP - 2) + b"\x90",
)
