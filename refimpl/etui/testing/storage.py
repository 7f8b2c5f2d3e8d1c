"""Artifacts without meaning, for tests of how they are stored: parts, data parts, and archives with chosen faults."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hypothesis import strategies as st

from etui.canonical import json
from etui.dtypes import DTYPES
from etui.storage import create_artifact
from etui.storage import zip_records as z
from etui.storage.base import Form
from etui.storage.part_names import MANIFEST, escape, order_key, role_of
from etui.storage.safetensors import TensorSpec

DOCUMENTS = ("config.json", "optimizer.msgpack", "state.msgpack", "training.json", "weights.json")
DATA_PARTS = ("optimizer.safetensors", "state.safetensors", "weights.safetensors")
PLAIN_DTYPES = tuple(name for name, dtype in DTYPES.items() if dtype.safetensors)


def with_manifest(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """The parts in the order of members, and a manifest that lists them; storage reads no more of it than the names."""
    listed = {name: {"role": role_of(name), "size": len(data)} for name, data in parts.items()}
    manifest = json.encode({"format": "etui", "parts": listed})
    return {**{name: parts[name] for name in sorted(parts, key=order_key)}, MANIFEST: manifest}


def sizes(content: Mapping[str, bytes]) -> dict[str, int]:
    """What the manifest of `content` lists: sizes in bytes by name."""
    return {name: len(data) for name, data in content.items() if name != MANIFEST}


def write(
    target: str | Path | BinaryIO | MutableMapping[str, bytes], content: Mapping[str, bytes], form: Form | None = None
) -> None:
    """Write parts, which are in the order of members and end with the manifest, as an artifact."""
    with create_artifact(target, form) as writer:
        for name, data in content.items():
            writer.write(name, role_of(name) or "", len(data), [data])
        writer.commit()


def part_names(prefix: str = "assets/") -> st.SearchStrategy[str]:
    """Legal names below a folder, from any text that has a legal form."""
    segment = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=6)
    path = st.lists(segment.filter(lambda text: text not in {".", ".."}), min_size=1, max_size=3).map("/".join)
    return path.map(lambda text: prefix + escape(text))


def contents() -> st.SearchStrategy[dict[str, bytes]]:
    """Parts of every role with their manifest, in the order of members."""
    names = st.one_of(
        st.sampled_from(DOCUMENTS + DATA_PARTS), part_names(), part_names("programs/p/"), part_names("native/keras/")
    )
    small = st.binary(max_size=200)
    parts = st.dictionaries(names, small, max_size=8).filter(_apart)
    return parts.map(with_manifest)


def _apart(parts: Mapping[str, bytes]) -> bool:
    lowered = {name.lower() for name in parts}
    below = any(one.startswith(f"{other}/") for one in lowered for other in lowered)
    return len(lowered) == len(parts) and not below


def tensor_specs() -> st.SearchStrategy[list[TensorSpec]]:
    """Tensors of different names and small shapes, of every dtype that a data part holds."""
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
    spec = st.builds(TensorSpec, names, st.sampled_from(PLAIN_DTYPES), shapes)
    return st.lists(spec, min_size=1, max_size=12, unique_by=lambda tensor: tensor.name)


@dataclass
class ZipMember:
    """A member of an archive to be built; what is not chosen is as a canonical archive has it.

    Attributes:
        name, data: what it holds.
        local, central: fields of `LocalHeader` and `CentralHeader` to be set.
        local_name: another name in the local header.
        local_extra, central_extra: other extra fields; `None` for the alignment and for nothing.
        comment: in the central directory.
        before: bytes in front of the local header.
    """

    name: bytes
    data: bytes
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes | None = None
    central_extra: bytes = b""
    comment: bytes = b""
    before: bytes = b""

    def shared(self) -> dict[str, Any]:
        """The fields that both headers have."""
        size = len(self.data)
        return {
            "needed": 20,
            "flags": 0,
            "method": 0,
            "time": 0,
            "date": 0x21,
            "crc": zlib.crc32(self.data),
            "stored_size": size,
            "size": size,
        }

    def local_header(self, offset: int) -> bytes:
        """The local header for its place."""
        name = self.name if self.local_name is None else self.local_name
        extra = self.local_extra
        if extra is None:
            zeros = -(offset + z.LOCAL.size + len(name) + 6) % 64
            extra = b"\x35\xd9" + (zeros + 2).to_bytes(2, "little") + b"\x40\x00" + bytes(zeros)
        fields = {"signature": z.LOCAL_SIGNATURE, **self.shared()}
        fields |= {"name_length": len(name), "extra_length": len(extra)} | self.local
        return z.LOCAL.pack(*z.LocalHeader(**fields)) + name + extra

    def central_header(self, offset: int) -> bytes:
        """The entry in the central directory."""
        fields = {"signature": z.CENTRAL_SIGNATURE, "made_by": 20, **self.shared()}
        fields |= {"name_length": len(self.name), "extra_length": len(self.central_extra)}
        fields |= {"comment_length": len(self.comment), "disk": 0, "offset": offset}
        fields |= {"internal_attributes": 0, "external_attributes": 0} | self.central
        return z.CENTRAL.pack(*z.CentralHeader(**fields)) + self.name + self.central_extra + self.comment


def zip_bytes(
    members: Sequence[ZipMember],
    *,
    end: Mapping[str, Any] | None = None,
    records: bytes = b"",
    after_members: bytes = b"",
    after_directory: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """An archive of the members.

    Args:
        members: in their order.
        end: fields of `EndRecord` to be set.
        records: in front of the end record.
        after_members: between the last member and the central directory.
        after_directory: between the central directory's last entry and its end.
        tail: after the end record.
    """
    body = bytearray()
    directory = bytearray()
    for member in members:
        body += member.before
        directory += member.central_header(len(body))
        body += member.local_header(len(body)) + member.data
    body += after_members
    directory += after_directory
    fields: dict[str, Any] = {"signature": z.END_SIGNATURE, "disk": 0, "directory_disk": 0, "comment_length": 0}
    fields |= {"disk_entries": len(members), "entries": len(members)}
    fields |= {"directory_size": len(directory), "directory_offset": len(body), **(end or {})}
    return bytes(body + directory) + records + z.END.pack(*z.EndRecord(**fields)) + tail


def zip_members(content: Mapping[str, bytes]) -> list[ZipMember]:
    """The members of a canonical archive of `content`, to be given faults."""
    return [ZipMember(name.encode(), data) for name, data in content.items()]
