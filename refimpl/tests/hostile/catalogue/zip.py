"""Hostile ZIP archives: artifacts in packed form, and `.keras` files."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalogue.case import Case, Make, case
from etui.storage import zip_records as z
from etui.testing.hostile import parts_of
from etui.testing.keras_files import Kit
from etui.testing.samples import everything
from etui.testing.storage import ZipMember, zip_bytes, zip_members

CHAPTER = "ZIP"
SYMLINK = (stat.S_IFLNK | 0o777) << 16
ASSETS = "assets/layers/x/a.txt"

Change = Callable[[list[ZipMember]], Any]


def packed(change: Change, **archive: Any) -> Make:
    """An artifact that holds everything, with a change of its members."""

    def make(folder: Path) -> Path:
        members = zip_members(parts_of(everything()))
        result = change(members)
        path = folder / "m.etui"
        path.write_bytes(zip_bytes(result if isinstance(result, list) else members, **archive))
        return path

    return make


def keras(change: Change, **archive: Any) -> Make:
    """A `.keras` file, with a change of its members; the last one is an asset."""

    def make(folder: Path) -> Path:
        kit = Kit(folder)
        sound = kit.write(kit.dense_model(), kit.dense_arrays(), members={ASSETS: b"classified" * 9})
        with zipfile.ZipFile(sound) as file:
            members = [ZipMember(name.encode(), file.read(name), local_extra=b"") for name in file.namelist()]
        result = change(members)
        path = folder / "m.keras"
        path.write_bytes(zip_bytes(result if isinstance(result, list) else members, **archive))
        return path

    return make


def field(header: str, **fields: Any) -> Change:
    """Set fields in the ``local`` or ``central`` header of an asset, or of ``both``."""

    def change(members: list[ZipMember]) -> None:
        for name in ("local", "central") if header == "both" else (header,):
            getattr(_asset(members), name).update(fields)

    return change


def attribute(**attributes: Any) -> Change:
    """Set attributes of an asset's `ZipMember`."""

    def change(members: list[ZipMember]) -> None:
        for name, value in attributes.items():
            setattr(_asset(members), name, value)

    return change


def _asset(members: list[ZipMember]) -> ZipMember:
    return next(member for member in members if member.name.startswith(b"assets/"))


def twice(members: list[ZipMember]) -> list[ZipMember]:
    """A member again."""
    return [*members, _asset(members)]


def also(name: bytes, flags: int = 0) -> Change:
    """A member more, whose name is that of another in the eyes of some file system."""
    return lambda members: [*members, ZipMember(name, b"", {"flags": flags}, {"flags": flags}, local_extra=b"")]


def deflated(data: bytes) -> Change:
    """An asset that is deflated, as its headers say."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = raw.compress(data) + raw.flush()
    fields = {"method": 8, "size": len(data), "crc": zlib.crc32(data)}
    return attribute(data=stored, local=fields, central=fields)


def doubled(members: list[ZipMember]) -> list[ZipMember]:
    """The entry of an asset in the central directory leads to another member."""
    _asset(members).central["offset"] = 0
    return members


def untouched(members: list[ZipMember]) -> None:
    """No change."""


_ZIP64 = b"\x01\x00\x10\x00" + bytes(16)
_NAMES: list[tuple[str, bytes]] = [
    ("name with `..`", b"assets/../../evil.txt"),
    ("absolute name", b"/assets/passwd"),
    ("name with a backslash", b"assets\\evil.txt"),
    ("name with a drive", b"C:assets/evil.txt"),
    ("name with NUL", b"assets/a\0b.txt"),
]
_BOTH: list[tuple[str, Change, dict[str, Any], str, str]] = [
    ("local and central headers that disagree", field("local", crc=1), {}, "zip-field", "foreign-zip-headers"),
    ("local and central headers that disagree", attribute(local_name=b"a"), {}, "zip-field", "foreign-zip-headers"),
    ("duplicate names", twice, {}, "zip-members zip-order", "foreign-zip-duplicate"),
    *((line, attribute(name=name), {}, "part-name", "foreign-zip-name") for line, name in _NAMES),
    ("symlink attribute", field("central", external_attributes=SYMLINK), {}, "zip-field", "foreign-zip-link"),
    ("overlapping members", doubled, {}, "zip-layout", "foreign-zip-headers foreign-zip-overlap"),
    ("wrong zip64", attribute(central_extra=_ZIP64), {}, "zip-zip64", ""),
    (
        "wrong zip64",
        attribute(central_extra=_ZIP64, central={"size": z.ONES32, "stored_size": z.ONES32}),
        {},
        "zip-zip64",
        "foreign-zip-headers",
    ),
    ("missing zip64", field("both", size=z.ONES32, stored_size=z.ONES32), {}, "zip-zip64", "foreign-zip"),
    ("encrypted", field("both", flags=1), {}, "zip-field", "foreign-zip-method"),
    ("prepended bytes", untouched, {}, "zip-layout", "foreign-zip"),
    ("trailing bytes", untouched, {"tail": b"\0"}, "zip-layout zip-truncated", "foreign-zip"),
    ("comment", untouched, {"end": {"comment_length": 3}, "tail": b"hey"}, "zip-field", "foreign-zip"),
    ("wrong CRC", field("both", crc=1), {}, "zip-crc", "foreign-zip-crc"),
]


def _with_prefix(make: Make) -> Make:
    """The file behind a line of a shell's."""

    def prefixed(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
        return path

    return prefixed


def _pair(number: int, row: tuple[str, Change, dict[str, Any], str, str]) -> list[Case]:
    line, change, archive, own, foreign = row
    makes = [packed(change, **archive), keras(change, **archive)]
    if line == "prepended bytes":
        makes = [_with_prefix(make) for make in makes]
    return [
        case(CHAPTER, line, makes[0], own, "E-2", name=f"{line} {number}, packed artifact", etui=True),
        case(CHAPTER, line, makes[1], foreign, "E-2", name=f"{line} {number}, .keras"),
    ]


CASES: list[Case] = [
    *(one for number, row in enumerate(_BOTH) for one in _pair(number, row)),
    case(CHAPTER, "name with a trailing dot", packed(attribute(name=b"assets/a.")), "part-name", "P-2", etui=True),
    case(CHAPTER, "device name", packed(attribute(name=b"assets/con.txt")), "part-name", "P-2", etui=True),
    case(CHAPTER, "device name", keras(attribute(name=b"assets/con.txt")), "", name="device name, .keras"),
    case(
        CHAPTER,
        "names equal after case folding",
        keras(also(ASSETS.upper().encode())),
        "foreign-zip-name",
        "K-21",
    ),
    case(
        CHAPTER,
        "names equal after NFC",
        keras(lambda members: [*also("a/é".encode(), 0x800)(members), *also("a/e\u0301".encode(), 0x800)([])]),
        "foreign-zip-name",
        "K-21",
    ),
    case(CHAPTER, "data descriptor", packed(field("both", flags=8)), "zip-field", "Z-10", etui=True),
    case(
        CHAPTER,
        "data descriptor",
        keras(field("both", flags=8)),
        "",
        "K-20",
        name="data descriptor that is announced and not there, .keras",
    ),
    case(
        CHAPTER,
        "deflate where STORED is required",
        packed(deflated(b"classified" * 99)),
        "zip-field",
        "Z-3",
        etui=True,
    ),
    case(CHAPTER, "deflate bomb", keras(deflated(bytes(200_000_000))), "limit-foreign", "K-39", "X-2"),
    case(CHAPTER, "", keras(deflated(b"classified" * 99)), "", "K-20", name="good: a deflated asset, .keras"),
    case(CHAPTER, "", packed(untouched), "", "D-6", name="good: packed artifact", etui=True),
    case(CHAPTER, "", keras(untouched), "", "K-20", name="good: .keras"),
]
