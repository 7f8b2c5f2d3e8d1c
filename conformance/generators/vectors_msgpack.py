"""Vectors of canonical MessagePack (SPEC.md chapter 4)."""

from __future__ import annotations

from vectors_contents import f32, joined, state, stored, weights
from vectors_kit import Area, Entry
from vectors_parts import STATE, Edit, raw, whole

_LEVELS = 126  # of lists that the caller's own value may have: it is at level 2


def area() -> Area:
    """The vectors."""
    found = Area("msgpack", "weights", "state")
    user = {
        "a": 1,
        "b": {"$bytes": "AAEC"},
        "f": {"$float": "1"},
        "l": [1],
        "m": {"k": 1},
        "t": "e",
        "x": stored("user/x"),
    }
    base = found.valid(
        "a map", "B-1 B-2 B-4 B-8 B-12 D-6", joined(weights({}), state({"user/x": f32([], 1)}, user=user))
    )
    _valid(found)
    found.faults(base, STATE, _whole_faults())
    found.faults(base, STATE, _number_faults())
    found.faults(base, STATE, _length_faults())
    found.faults(base, STATE, _text_and_key_faults())
    return found


def _valid(found: Area) -> None:
    def value(name: str, clauses: str, **user: object) -> Entry:
        return found.valid(name, clauses, joined(weights({}), state(user=user)))

    steps = [0, 31, 32, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**53 - 1]
    value("non-negative integers of every width", "B-2", integers=steps)
    value("unsigned integers beyond 2^53 - 1", "B-2 B-12", integers=_texts(2**53, 2**63 - 1, 2**63, 2**64 - 1))
    less = [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**53) + 1]
    value("negative integers of every width", "B-2", integers=less)
    value("negative integers beyond -2^53 + 1", "B-2 B-12", integers=_texts(-(2**53), -(2**63)))
    value("integers beyond 64 bits", "B-12", integers=_texts(2**64, -(2**63) - 1, 10**40))
    value(
        "floats that are not integral",
        "B-3 B-12",
        floats=[0.5, -0.1, 5e-324, 2.2250738585072014e-308, 1e-7, 4503599627370495.5],
    )
    whole_ones = ["0", "-0", "1", "-1", "9007199254740992", "1e+21", "1.7976931348623157e+308", "inf", "-inf", "nan"]
    value(
        "floats that JSON does not tell from integers, or lacks",
        "B-3 B-12",
        floats=[{"$float": text} for text in whole_ones],
    )
    value("null, false and true", "B-1", found=[None, False, True])
    texts = {f"{size:03}": "é" * (size // 2) + "e" * (size % 2) for size in (0, 31, 32, 255, 256)}
    value("strings at the edges of their formats", "B-4 B-5", texts=texts)
    zeros = {f"{size:03}": {"$bytes": _zeros(size)} for size in (0, 1, 31, 32, 255, 256)}
    value("byte strings at the edges of their formats", "B-4", blobs=zeros)
    value("arrays at the edges of their formats", "B-4", arrays=[[], [0] * 15, [0] * 16])
    value("maps at the edges of their formats", "B-4", maps=[{}, _keys(15), _keys(16), _keys(300)])
    value(
        "keys in the order of their UTF-8 bytes",
        "B-8",
        order={"\U0001f600": 1, "\uffff": 2, "\u00e9": 3, "z": 4, "Z": 5, "": 6, "zz": 7},
    )
    value("keys beyond the short formats", "B-4 B-8", **{"k" * 32: 1, "k" * 31: 2, "k" * 256: 3})
    names = ["user/a", "user/abc", "user/abcd", "user/" + "a" * 11, "user/" + "a" * 12, f"user/{'a' * 126}/{'b' * 123}"]
    names.append(f"user/{'a' * 200}/{'b' * 200}")
    found.valid(
        "references at the edges of the extension formats",
        "B-4 B-9 O-14 O-16 R-4",
        joined(weights({}), state({name: f32([], 1) for name in names}, user=_referring(names))),
    )
    deep: list[object] = []
    for _ in range(_LEVELS - 1):
        deep = [deep]
    value("the greatest depth", "B-11", deep=deep)


def _texts(*integers: int) -> list[dict[str, str]]:
    return [{"$int": str(integer)} for integer in integers]


def _zeros(size: int) -> str:
    """The base64 of so many zeros."""
    full, rest = divmod(size, 3)
    return "AAAA" * full + ("", "AA==", "AAA=")[rest]


def _keys(count: int) -> dict[str, int]:
    return {f"{at:03}": at for at in range(count)}


def _referring(names: list[str]) -> dict[str, object]:
    """Maps whose keys lead to a reference at each name below `user`."""
    tree: dict[str, object] = {}
    for name in names:
        place = tree
        first, *rest = name.split("/")[1:]
        for step in rest:
            place = place.setdefault(first, {})  # type: ignore[assignment]
            first = step
        place[first] = stored(name)
    return tree


def _other(new: bytes) -> Edit:
    """The integer 1 below the key `a` is written otherwise."""
    return raw(b"\xa1a\x01", b"\xa1a" + new, STATE)


def _text(new: bytes) -> Edit:
    """The string `e` below the key `t` is written otherwise."""
    return raw(b"\xa1t\xa1e", b"\xa1t" + new, STATE)


def _key(new: bytes) -> Edit:
    """The key `k` is written otherwise."""
    return raw(b"\x81\xa1k\x01", b"\x81" + new + b"\x01", STATE)


def _reference(new: bytes) -> Edit:
    """The reference below the key `x` is written otherwise."""
    return raw(b"\xa1x\xc7\x06\x01user/x", b"\xa1x" + new, STATE)


def _whole_faults() -> list[tuple[str, str, str, Edit]]:
    syntax = "msgpack-syntax"
    return [
        ("MessagePack without its end", "B-1 D-6", syntax, whole(lambda data: data[:-1], STATE)),
        ("a byte after the map", "B-1", syntax, whole(lambda data: data + b"\xc0", STATE)),
        ("two maps", "B-1", syntax, whole(lambda data: data + data, STATE)),
        ("nothing", "B-1", syntax, whole(lambda _: b"", STATE)),
        ("an array", "B-1", syntax, whole(lambda data: b"\x91" + data, STATE)),
        ("null", "B-1", syntax, whole(lambda _: b"\xc0", STATE)),
        ("an integer", "B-1", syntax, whole(lambda _: b"\x07", STATE)),
        ("the byte that no format has", "B-1", syntax, _other(b"\xc1")),
        ("a map that lacks an entry", "B-1 B-10", syntax, whole(lambda data: bytes([data[0] + 1]) + data[1:], STATE)),
        ("a string longer than the document", "B-10 X-2", syntax, _text(b"\xdb\xff\xff\xff\xffe")),
        ("a byte string longer than the document", "B-10 X-2", syntax, _other(b"\xc6\xff\xff\xff\xff")),
        ("an array longer than the document", "B-10 X-2", syntax, _other(b"\xdd\xff\xff\xff\xff")),
        ("a map longer than the document", "B-10 X-2", syntax, _other(b"\xdf\xff\xff\xff\xff")),
        ("a reference longer than the document", "B-10 X-2", syntax, _reference(b"\xc9\xff\xff\xff\xff\x01user/x")),
        ("a level too deep", "B-11 L-2", "msgpack-depth", _other(b"\x91" * (_LEVELS + 1) + b"\xc0")),
        ("very deep arrays", "B-11 L-2 E-2", "msgpack-depth", _other(b"\x91" * 5000 + b"\xc0")),
        ("very deep maps", "B-11 L-2 E-2", "msgpack-depth", _other(b"\x81\xa1a" * 2000 + b"\xc0")),
    ]


def _number_faults() -> list[tuple[str, str, str, Edit]]:
    code = "msgpack-not-canonical"
    rows = [
        ("a small integer in 8 bits", "B-2 D-6", b"\xcc\x01"),
        ("a small integer in 16 bits", "B-2", b"\xcd\x00\x01"),
        ("an integer of 8 bits in 16", "B-2", b"\xcd\x00\xff"),
        ("an integer of 16 bits in 32", "B-2", b"\xce\x00\x00\xff\xff"),
        ("an integer of 32 bits in 64", "B-2", b"\xcf\x00\x00\x00\x00\xff\xff\xff\xff"),
        ("a non-negative integer in a signed format", "B-2", b"\xd0\x01"),
        ("a non-negative integer of 16 bits in a signed format", "B-2", b"\xd1\x7f\xff"),
        ("a non-negative integer of 64 bits in a signed format", "B-2", b"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ("a small negative integer in 8 bits", "B-2", b"\xd0\xff"),
        ("a negative integer of 8 bits in 16", "B-2", b"\xd1\xff\x80"),
        ("a negative integer of 16 bits in 32", "B-2", b"\xd2\xff\xff\x80\x00"),
        ("a negative integer of 32 bits in 64", "B-2", b"\xd3\xff\xff\xff\xff\x80\x00\x00\x00"),
        ("a float of 32 bits", "B-3", b"\xca\x3f\x00\x00\x00"),
        ("a NaN with a payload", "B-3", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01"),
        ("a negative NaN", "B-3", b"\xcb\xff\xf8\x00\x00\x00\x00\x00\x00"),
        ("a signalling NaN", "B-3", b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x01"),
    ]
    return [(name, clauses, code, _other(new)) for name, clauses, new in rows]


def _length_faults() -> list[tuple[str, str, str, Edit]]:
    code, long = "msgpack-not-canonical", b"e" * 32
    return [
        ("a short string with a length of 8 bits", "B-4", code, _text(b"\xd9\x01e")),
        ("a string with a length of 16 bits where 8 do", "B-4", code, _text(b"\xda\x00\x20" + long)),
        ("a string with a length of 32 bits where 8 do", "B-4", code, _text(b"\xdb\x00\x00\x00\x20" + long)),
        ("a key with a length of 8 bits", "B-4", code, _key(b"\xd9\x01k")),
        ("a byte string with a length of 16 bits where 8 do", "B-4", code, _other(b"\xc5\x00\x01\x00")),
        ("a byte string with a length of 32 bits where 8 do", "B-4", code, _other(b"\xc6\x00\x00\x00\x01\x00")),
        ("a short array with a length of 16 bits", "B-4", code, _other(b"\xdc\x00\x01\x00")),
        ("an array with a length of 32 bits where 16 do", "B-4", code, _other(b"\xdd\x00\x00\x00\x10" + bytes(16))),
        ("a short map with a length of 16 bits", "B-4", code, _other(b"\xde\x00\x01\xa1k\x00")),
        ("a short map with a length of 32 bits", "B-4", code, _other(b"\xdf\x00\x00\x00\x01\xa1k\x00")),
        ("a reference with a length of 16 bits where 8 do", "B-4", code, _reference(b"\xc8\x00\x06\x01user/x")),
        ("a reference with a length of 32 bits where 8 do", "B-4", code, _reference(b"\xc9\x00\x00\x00\x06\x01user/x")),
        (
            "keys in another order",
            "B-8 D-6",
            code,
            raw(b"\xa1a\x01\xa1b\xc4\x03\0\1\2", b"\xa1b\xc4\x03\0\1\2\xa1a\x01", STATE),
        ),
        (
            "keys in the order of their UTF-16 units",
            "B-8",
            code,
            _other(b"\x82\xa4\xf0\x9f\x98\x80\x01\xa3\xef\xbf\xbf\x01"),
        ),
        ("a longer key before its beginning", "B-8", code, _other(b"\x82\xa2kk\x01\xa1k\x01")),
    ]


def _text_and_key_faults() -> list[tuple[str, str, str, Edit]]:
    text, key, extension = "msgpack-encoding", "msgpack-key", "msgpack-extension"
    rows = [
        ("a byte that UTF-8 does not have", "B-5", text, _text(b"\xa1\xff")),
        ("a letter in an overlong form", "B-5", text, _text(b"\xa2\xc1\xa5")),
        ("half of a letter", "B-5", text, _text(b"\xa1\xc3")),
        ("a surrogate as UTF-8", "B-5", text, _text(b"\xa3\xed\xa0\x80")),
        ("a number beyond Unicode", "B-5", text, _text(b"\xa4\xf5\x80\x80\x80")),
        ("a key that is not UTF-8", "B-5", text, _key(b"\xa1\xff")),
        ("a key that is an integer", "B-6", key, _key(b"\x07")),
        ("a key that is a byte string", "B-6", key, _key(b"\xc4\x01k")),
        ("a key that is null", "B-6", key, _key(b"\xc0")),
        ("a key that is a float", "B-6", key, _key(b"\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00")),
        ("a key that is an array", "B-6", key, _key(b"\x91\x01")),
        ("a key twice", "B-7", "msgpack-duplicate-key", raw(b"\x81\xa1k\x01", b"\x82\xa1k\x01\xa1k\x02", STATE)),
        ("a field twice", "B-7", "msgpack-duplicate-key", raw(b"\xa1a\x01\xa1b", b"\xa1b\x01\xa1b", STATE)),
        ("a timestamp", "B-9", extension, _other(b"\xd6\xff\x00\x00\x00\x00")),
        ("an extension of type 0", "B-9", extension, _reference(b"\xc7\x06\x00user/x")),
        ("an extension of type 2", "B-9", extension, _reference(b"\xc7\x06\x02user/x")),
        ("an extension of type 127", "B-9", extension, _other(b"\xd4\x7f\x00")),
        ("a reference that is not UTF-8", "B-9 B-5", f"{extension}|{text}", _reference(b"\xc7\x06\x01user/\xff")),
    ]
    missing = ("a reference to no tensor", "B-9 O-14 R-4 V-10", "reference-missing", _other(b"\xc7\x06\x01user/y"))
    return [*rows, missing]
