"""Vectors of canonical JSON (SPEC.md chapter 3)."""

from __future__ import annotations

import struct

from vectors_contents import config, layer, weights
from vectors_kit import Area, Entry
from vectors_parts import CONFIG, MANIFEST, WEIGHTS, Edit, raw, whole

# RFC 8785, appendix B: the bits of each number. Those that are integral are texts here, as chapter 5 has them.
_APPENDIX = (
    "0000000000000001 8000000000000001 7fefffffffffffff ffefffffffffffff 4340000000000000 c340000000000000 "
    "4430000000000000 44b52d02c7e14af5 44b52d02c7e14af6 44b52d02c7e14af7 444b1ae4d6e2ef4e 444b1ae4d6e2ef4f "
    "444b1ae4d6e2ef50 3eb0c6f7a0b5ed8c 3eb0c6f7a0b5ed8d 41b3de4355555553 41b3de4355555554 41b3de4355555555 "
    "41b3de4355555556 41b3de4355555557 becbf647612f3696 43143ff3c1cb0959"
)
_ARTICLE = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One"} | {
    "\U0001f600": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
}

_RINGS = {"\u00c5": 1, "A\u030a": 2, "\u212b": 3}  # one letter, but for normalization


def area() -> Area:
    """The vectors."""
    found = Area("json", "config")
    base = found.valid("an object", "J-1 J-2 J-7 D-6", config(layer("model", attrs={"a": 1, "b": 0.5, "text": "e"})))
    _valid(found)
    found.faults(base, CONFIG, _faults(CONFIG, b'"a":1', b'"text":"e"', b"0.5"))
    small = found.valid(
        "an index with other fields",
        "J-1 J-2 J-7",
        weights({}, None, **{"x-n": {"a": 1, "b": 0.5, "text": "e"}}),
        subject=["weights"],
    )
    rows = _faults(WEIGHTS, b'"a":1', b'"text":"e"', b"0.5")
    found.faults(small, WEIGHTS, [(f"{name}, in {WEIGHTS}", *rest) for name, *rest in rows])  # type: ignore[misc]
    noted = found.valid("metadata", "J-1 J-7 M-7", weights({}) | {"metadata": {"a": 1, "text": "e"}}, subject=[])
    found.faults(noted, MANIFEST, _manifest_faults())
    return found


def _valid(found: Area) -> None:
    def value(name: str, clauses: str, **attrs: object) -> Entry:
        return found.valid(name, clauses, config(layer("model", attrs=attrs)))

    floats = [struct.unpack(">d", bytes.fromhex(bits))[0] for bits in _APPENDIX.split()]
    plain = [number for number in floats if not number.is_integer()]
    value("the numbers of RFC 8785, appendix B, that are not integral", "J-6 J-7", numbers=plain)
    value("integers up to 2^53 - 1", "J-6", numbers=[0, 1, -1, 2**31, 2**32, 2**53 - 1, -(2**53) + 1])
    value(
        "floats where the notation changes",
        "J-6 J-7",
        numbers=[1e-6, 1.5e-6, 1e-7, 1.5e-7, 123456789.125, 4503599627370495.5],
    )
    value(
        "the smallest and the least normal numbers",
        "J-6 J-7",
        numbers=[5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308],
    )
    value("keys in the order of their UTF-16 units", "J-7", **_ARTICLE)
    value("strings with every escape", "J-7", text='\b\t\n\f\r"\\/\x00\x1f\x7f\u0080\u2028\u2029é€\U0001f600\uffff')
    value("empty maps, lists and strings", "J-2 J-7", map={}, list=[], text="", nested=[[], {}, ""], **{"": None})
    value("true, false and null", "J-2", found=[True, False, None])
    value("no normalization", "J-7", **_RINGS)
    value("the greatest depth", "J-8", deep=_nested(125))


def _nested(levels: int) -> list[object]:
    deep: list[object] = []
    for _ in range(levels - 1):
        deep = [deep]
    return deep


def _faults(name: str, number: bytes, text: bytes, half: bytes) -> list[tuple[str, str, str, Edit]]:
    key = number.partition(b":")[0]
    levels = 126 if name == CONFIG else 127  # an attribute is at level 3, a further field's entry at level 2

    def other(token: bytes) -> Edit:
        return raw(number, key + b":" + token, name)

    def letter(token: bytes) -> Edit:
        return raw(text, b'"text":"' + token + b'"', name)

    return [
        ("a byte order mark", "J-1 D-6", "json-encoding", whole(lambda data: b"\xef\xbb\xbf" + data, name)),
        ("JSON without its end", "J-2", "json-syntax", whole(lambda data: data[:-1], name)),
        ("a float for an integer", "J-6 D-6", "json-number", other(b"1.0")),
        ("a space after a colon", "J-7 D-6", "json-not-canonical", other(b" 1")),
        ("a key twice", "J-3", "json-duplicate-key", raw(number, number + b"," + number, name)),
        ("the token NaN", "J-4", "json-syntax", other(b"NaN")),
        ("an escaped lone surrogate", "J-5", "json-surrogate", letter(b"\\ud800")),
        ("a byte that UTF-8 does not have", "J-1", "json-encoding", letter(b"\xff")),
        ("a letter in an overlong form", "J-1", "json-encoding", letter(b"\xc1\xa1")),
        (
            "a text of UTF-16",
            "J-1",
            "json-encoding",
            whole(lambda data: b"\xff\xfe" + data.decode().encode("utf-16-le"), name),
        ),
        ("a surrogate as UTF-8", "J-1 J-5", "json-encoding|json-surrogate", letter(b"\xed\xa0\x80")),
        ("nothing", "J-2", "json-syntax", whole(lambda _: b"", name)),
        ("a list", "J-2", "json-syntax", whole(lambda data: b"[" + data + b"]", name)),
        ("a string", "J-2", "json-syntax", whole(lambda _: b'"etui"', name)),
        ("a comma too many", "J-2", "json-syntax", raw(number, number + b",", name)),
        ("two objects", "J-2", "json-syntax", whole(lambda data: data + data, name)),
        ("a comment", "J-2", "json-syntax", other(b"/**/1")),
        ("a string in single quotes", "J-2", "json-syntax", other(b"'1'")),
        ("a control character in a string", "J-2", "json-syntax", letter(b"\n")),
        ("an escape that there is not", "J-2", "json-syntax", letter(b"\\x41")),
        ("a number with a zero in front", "J-2", "json-syntax", other(b"01")),
        ("a number with a plus", "J-2", "json-syntax", other(b"+1")),
        ("a number that begins with a point", "J-2", "json-syntax", raw(half, b".5", name)),
        ("a number that ends with a point", "J-2", "json-syntax", other(b"1.")),
        ("a number in hexadecimal", "J-2", "json-syntax", other(b"0x1")),
        ("a constant of Python", "J-2", "json-syntax", other(b"True")),
        ("the token Infinity", "J-4", "json-syntax", other(b"Infinity")),
        ("the token -Infinity", "J-4", "json-syntax", other(b"-Infinity")),
        ("an escaped low surrogate alone", "J-5", "json-surrogate", letter(b"\\udc00")),
        ("surrogates in the wrong order", "J-5", "json-surrogate", letter(b"\\udc00\\ud800")),
        ("a high surrogate before a letter", "J-5", "json-surrogate", letter(b"\\ud83da")),
        ("an integer with an exponent", "J-6", "json-number", other(b"1e0")),
        ("the integer 2^53", "J-6", "json-number", other(b"9007199254740992")),
        ("the integer -2^53", "J-6", "json-number", other(b"-9007199254740992")),
        ("an integer of 30 digits", "J-6", "json-number", other(b"1" * 30)),
        ("a number beyond every float", "J-6", "json-number", other(b"1e400")),
        ("an integral float", "J-6", "json-number", other(b"1e+21")),
        ("the negative zero", "J-6", "json-number", other(b"-0")),
        ("the negative zero as a float", "J-6", "json-number", other(b"-0.0")),
        ("a zero too many", "J-6", "json-number", raw(half, b"0.50", name)),
        ("digits that no float tells apart", "J-6", "json-number", raw(half, b"0.10000000000000001", name)),
        ("an exponent where none is needed", "J-6", "json-number", raw(half, b"5e-1", name)),
        ("an exponent in capitals", "J-6", "json-number", raw(half, b"5E-7", name)),
        ("an exponent with a zero in front", "J-6", "json-number", raw(half, b"5e-07", name)),
        ("no exponent where one is needed", "J-6", "json-number", raw(half, b"0.0000005", name)),
        ("a space in front", "J-7", "json-not-canonical", whole(lambda data: b" " + data, name)),
        ("a newline at the end", "J-7", "json-not-canonical", whole(lambda data: data + b"\n", name)),
        ("a tabulator", "J-7", "json-not-canonical", other(b"\t1")),
        (
            "keys in another order",
            "J-7",
            "json-not-canonical",
            raw(number + b',"b":' + half, b'"b":' + half + b"," + number, name),
        ),
        (
            "keys in the order of their code points",
            "J-7",
            "json-not-canonical",
            other(b'{"\xef\xac\xb3":1,"\xf0\x9f\x98\x80":2}'),
        ),
        ("an escape that is not needed", "J-7", "json-not-canonical", letter(b"\\u0065")),
        ("an escaped slash", "J-7", "json-not-canonical", letter(b"\\/")),
        ("a long escape", "J-7", "json-not-canonical", letter(b"\\u000a")),
        ("an escape in capitals", "J-7", "json-not-canonical", letter(b"\\u001F")),
        ("an escaped letter beyond ASCII", "J-7", "json-not-canonical", letter(b"\\u00e9")),
        ("a level too deep", "J-8 L-2", "json-depth", other(b"[" * levels + b"]" * levels)),
        ("very deep lists", "J-8 L-2 E-2", "json-depth", other(b"[" * 5000 + b"]" * 5000)),
        ("very deep maps", "J-8 L-2 E-2", "json-depth", other(b'{"a":' * 2000 + b"1" + b"}" * 2000)),
    ]


def _manifest_faults() -> list[tuple[str, str, str, Edit]]:
    return [
        (
            "a manifest with a newline at its end",
            "J-7 D-6",
            "json-not-canonical",
            whole(lambda data: data + b"\n", MANIFEST),
        ),
        ("a manifest without its end", "J-2", "json-syntax", whole(lambda data: data[:-1], MANIFEST)),
        (
            "a manifest with a byte order mark",
            "J-1",
            "json-encoding",
            whole(lambda data: b"\xef\xbb\xbf" + data, MANIFEST),
        ),
        ("a manifest with a key twice", "J-3", "json-duplicate-key", raw(b'"a":1', b'"a":1,"a":1', MANIFEST)),
        ("a manifest with a float for an integer", "J-6", "json-number", raw(b'"a":1', b'"a":1.0', MANIFEST)),
        ("a manifest with a lone surrogate", "J-5", "json-surrogate", raw(b'"e"', b'"\\udfff"', MANIFEST)),
    ]
