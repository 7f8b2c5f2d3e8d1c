"""The packed form: a ZIP archive in which nothing is left to choice (SPEC.md, chapter 9)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from mmap import mmap
from typing import Any, TypeAlias

from etui_conformance.oracle import json, limits, names, zip_records
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.zip_records import LIMIT_16, LIMIT_32, Member

Archive: TypeAlias = "bytes | mmap"

_RANKS = {"data": 0, "program": 1, "native": 1, "asset": 1, "manifest": 3}
_DOCUMENT = 2


def pack(parts: Mapping[str, bytes], order: Sequence[str] | None = None) -> bytes:
    """The packed form of the parts, `manifest.json` among them.

    Args:
        parts: name -> bytes.
        order: of the members, to write what a reader must refuse; by default that of Z-2.
    """
    ordered = sorted(parts, key=lambda name: _place(name, names.role_of(name))) if order is None else order
    members = [(name, len(parts[name]), zlib.crc32(parts[name])) for name in ordered]
    *locals_, tail = frames(members)
    return b"".join(piece for head, name in zip(locals_, ordered, strict=True) for piece in (head, parts[name])) + tail


def frames(members: Sequence[tuple[str, int, int]]) -> Iterator[bytes]:
    """What stands between the members' data: a local header before each one, and the directory after the last.

    Args:
        members: name, size and CRC-32 of each, in order.
    """
    position = 0
    placed = []
    for name, size, crc in members:
        member = Member(name.encode("ascii"), size, crc, position)
        head = zip_records.local_header(member)
        placed.append(member)
        position += len(head) + size
        yield head
    yield zip_records.directory(placed, position)


def unpack(data: Archive, at: str = "") -> dict[str, bytes]:
    """The parts of a packed artifact, in the order of the members (Z-1 to Z-11, E-4).

    What the manifest says beyond names and roles is for the reader of the parts to check.

    Raises:
        Refusal: ``zip-…``, and the codes of the manifest's own JSON.
    """
    found = members(data, at)
    parts = {name: data[begin : begin + member.size] for name, (member, begin) in found.items()}
    _check_names(parts, at)
    for name, (member, _) in found.items():
        if zlib.crc32(parts[name]) != member.crc:
            raise Refusal("zip-crc", name, f"not the CRC-32 {member.crc:#010x}")
    return parts


def members(data: Archive, at: str = "") -> dict[str, tuple[Member, int]]:
    """The members of an archive and where the data of each begins, without reading it (Z-3 to Z-11).

    Raises:
        Refusal: ``zip-…``, ``part-name``, ``limit-parts``, ``limit-path``.
    """
    found: dict[str, tuple[Member, int]] = {}
    position = 0
    end = zip_records.read_end(data, at)
    if end.members > limits.PARTS + 1:
        raise Refusal("limit-parts", at, f"{end.members} members")
    for member in zip_records.read_directory(data, end, at):
        name = member.name.decode("latin-1")
        names.check_part_name(name, at)
        if member.offset != position:
            raise Refusal("zip-layout", name, f"a local header at {member.offset}, not at {position}")
        begin = zip_records.check_local(data, member, end.offset, name)
        position = begin + member.size
        if name in found:
            raise Refusal("zip-members", name, "twice")
        found[name] = (member, begin)
    if position != end.offset:
        raise Refusal("zip-layout", at, f"the directory at {end.offset}, not at {position}")
    return found


def _check_names(parts: Mapping[str, bytes], at: str) -> None:
    """Refuse other members than the listed parts and the manifest (Z-1), or another order (Z-2)."""
    if names.MANIFEST not in parts:
        raise Refusal("zip-members", at, "no manifest.json")
    listed = json.decode(parts[names.MANIFEST], names.MANIFEST).get("parts")
    if not isinstance(listed, dict):
        return  # which the reader of the manifest refuses
    if parts.keys() != {names.MANIFEST, *listed}:
        odd = sorted(parts.keys() ^ {names.MANIFEST, *listed})
        raise Refusal("zip-members", odd[0], "a member or a listed part without the other")
    expected = sorted(parts, key=lambda name: _place(name, _role(name, listed)))
    if list(parts) != expected:
        raise Refusal("zip-order", at, f"the order {list(parts)[:4]}")


def _role(name: str, listed: Mapping[str, Any]) -> str | None:
    """The role that the manifest says, whether or not the name can have it: that is another clause's."""
    entry = listed.get(name)
    role = entry.get("role") if isinstance(entry, dict) else None
    return role if isinstance(role, str) else names.role_of(name)


def _place(name: str, role: str | None) -> tuple[int, bytes]:
    return _RANKS.get(role or "", _DOCUMENT), name.encode()


__all__ = ["LIMIT_16", "LIMIT_32", "Member", "frames", "members", "pack", "unpack"]
