"""The manifest: the root of the digest tree, and the list of all parts (SPEC.md chapters 10 and 18)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui import digest
from etui._version import SPEC_VERSION
from etui.canonical import json, values
from etui.containers.data_parts import DataPart
from etui.containers.fields import Context, Json, open_document
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.part_names import MANIFEST, check_part_names, role_of

DOCUMENT = MANIFEST
SAFETENSORS = "application/vnd.safetensors"
MEDIA_TYPES = {
    "config": "application/vnd.etui.config+json",
    "weights": "application/vnd.etui.weights+json",
    "training": "application/vnd.etui.training+json",
    "optimizer": "application/vnd.etui.optimizer+msgpack",
    "state": "application/vnd.etui.state+msgpack",
    "data": SAFETENSORS,
}
FEATURES = frozenset(
    {
        "chunks",
        "encoding.complex",
        "encoding.packed4",
        "encoding.quantized",
        "encoding.string",
        "opaque",
        "programs",
    }
)
DOCUMENTS = ("config", "weights", "training", "optimizer", "state")
_NATIVE = frozenset({"framework", "framework_version", "bindings"})


@dataclass(slots=True)
class PartEntry:
    """A part as the manifest lists it.

    Attributes:
        role, media_type, size: of the part; size in bytes.
        digest: of all its bytes; `None` for a data part.
        header_size, header_digest: of a data part's bytes before its data section.
        framework, framework_version, bindings: of a native document; bindings are document name -> digest.
    """

    role: str
    media_type: str
    size: int
    digest: str | None = None
    header_size: int | None = None
    header_digest: str | None = None
    framework: str | None = None
    framework_version: str | None = None
    bindings: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Manifest:
    """The root document of an artifact.

    Attributes:
        parts: name -> entry, for every part but the manifest.
        profile: follows from the parts.
        requires: the features that the artifact uses, sorted.
        version: of the specification, ``major.minor``.
        metadata: the caller's own map of values.
    """

    parts: dict[str, PartEntry]
    profile: str
    requires: list[str] = field(default_factory=list)
    version: str = SPEC_VERSION
    metadata: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def part_of(self, role: str) -> str | None:
        """The name of the document of a role, if there is one."""
        return next((name for name, entry in self.parts.items() if entry.role == role), None)

    def data_parts(self) -> dict[str, DataPart]:
        """The data parts by name."""
        return {
            name: DataPart(entry.size, entry.header_size or 0, entry.header_digest or "")
            for name, entry in self.parts.items()
            if entry.role == "data"
        }


def profile_of(roles: Collection[str]) -> str:
    """The profile that follows from the documents that are there (chapter 18.1).

    Raises:
        InvalidError: ``profile-parts``.
    """
    config, weights, training, optimizer, state = (role in roles for role in DOCUMENTS)
    if config and weights:
        return "training" if optimizer else "model"
    if config and not (optimizer or state):
        return "config"
    if weights and not config:
        if optimizer or state:
            return "checkpoint"
        if not training:
            return "weights"
    raise error("profile-parts", where=DOCUMENT, found=f"the documents {sorted(set(roles) & set(DOCUMENTS))}")


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """Decode and check the bytes of `manifest.json`.

    Raises:
        RejectError: with the code of the clause that the manifest breaks.
    """
    tree = json.decode(data, where=DOCUMENT, limits=limits)
    context, extra = open_document(tree, DOCUMENT, limits, {"parts", "profile", "requires"}, {"metadata"})
    requires = context.strings(tree["requires"], "requires")
    if requires != sorted(set(requires)):
        raise error("requires-list", where=DOCUMENT, found=shown(requires))
    for feature in requires:
        if feature not in FEATURES:
            raise error("feature-unknown", where=context.place("requires"), found=shown(feature))
    nodes = context.typed(tree, "parts", dict, "")
    check_part_names(nodes, limits)
    parts = {name: _decode_part(context, name, node) for name, node in nodes.items()}
    metadata = values.from_json(context.filled(tree, "metadata", dict, ""), context.place("metadata"), limits)
    context.mapping(metadata, "metadata")
    profile = profile_of({entry.role for entry in parts.values()})
    if tree["profile"] != profile:
        raise error("profile-parts", where=DOCUMENT, found=f"{shown(tree['profile'])}, and the parts of {profile!r}")
    return Manifest(parts, profile, requires, tree["version"], metadata, extra)


def _decode_part(context: Context, name: str, node: Json) -> PartEntry:
    place = f"parts/{name}"
    role = role_of(name)
    if role is None:
        raise error("part-role", where=context.place(place), found="a name that no part has")
    needed = {"header"} if role == "data" else {"digest", *(_NATIVE if role == "native" else ())}
    extra = context.fields(node, place, {"role", "media_type", "size", *needed})
    if extra.keys() & {"digest", "header"}:
        raise context.fail(place, f"a {role} part with the fields {sorted(node)}")
    if node["role"] != role:
        raise error("part-role", where=context.place(place), found=f"role {shown(node['role'])}")
    media_type = context.typed(node, "media_type", str, place)
    if not media_type:
        raise context.fail(f"{place}/media_type", "an empty text")
    if media_type != MEDIA_TYPES.get(role, media_type):
        raise error("part-role", where=context.place(place), found=f"media type {shown(media_type)}")
    entry = PartEntry(role, media_type, context.natural(node, "size", place), extra=extra)
    if role == "data":
        header = node["header"]
        if context.fields(header, f"{place}/header", {"size", "digest"}):
            raise context.fail(f"{place}/header", "a field that no header has")
        digest.parse(header["digest"], context.place(place))
        entry.header_size, entry.header_digest = context.natural(header, "size", f"{place}/header"), header["digest"]
        return entry
    digest.parse(node["digest"], context.place(place))
    entry.digest = node["digest"]
    if role == "native":
        entry.framework = context.typed(node, "framework", str, place)
        entry.framework_version = context.typed(node, "framework_version", (str, type(None)), place)
        entry.bindings = context.typed(node, "bindings", dict, place)
        if name.split("/")[1] != entry.framework:
            raise context.fail(place, f"framework {shown(entry.framework)} in another framework's folder")
        for target, value in entry.bindings.items():
            if role_of(target) not in DOCUMENTS:
                raise context.fail(f"{place}/bindings", f"{shown(target)} is no document")
            digest.parse(value, context.place(place))
    return entry


def encode(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`."""
    tree: dict[str, Json] = {
        "format": "etui",
        "version": manifest.version,
        "profile": manifest.profile,
        "requires": manifest.requires,
        "parts": {name: _encode_part(entry) for name, entry in manifest.parts.items()},
        **manifest.extra,
    }
    if manifest.metadata:
        tree["metadata"] = values.to_json(manifest.metadata)
    return json.encode(tree)


def _encode_part(entry: PartEntry) -> Mapping[str, Json]:
    node: dict[str, Json] = {"role": entry.role, "media_type": entry.media_type, "size": entry.size, **entry.extra}
    if entry.role == "data":
        return node | {"header": {"size": entry.header_size, "digest": entry.header_digest}}
    node["digest"] = entry.digest
    if entry.role == "native":
        node |= {
            "framework": entry.framework,
            "framework_version": entry.framework_version,
            "bindings": dict(entry.bindings),
        }
    return node
