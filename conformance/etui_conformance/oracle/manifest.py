"""The manifest: what it says of each part, and the profile that follows (SPEC.md chapters 6, 10 and 18)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from etui_conformance.oracle import json
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form, Reference
from etui_conformance.oracle.names import DOCUMENTS, MANIFEST, check_part_names, media_type_of, role_of
from etui_conformance.oracle.parts import PARTS

FEATURES = (
    "chunks",
    "encoding.complex",
    "encoding.packed4",
    "encoding.quantized",
    "encoding.string",
    "opaque",
    "programs",
)
PROFILES = ("config", "weights", "model", "training", "checkpoint")
FIELDS = ("format", "parts", "profile", "requires", "version")

REQUIRES = pointer(MANIFEST, "requires")

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_DIGEST = re.compile(r"([a-z0-9]+):([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that passed its own checks.

    Attributes:
        tree: the JSON value.
        parts: the entries of its parts by name.
        references: the tagged values of its metadata.
    """

    tree: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    references: list[Reference]

    @property
    def version(self) -> str:
        """The version of the artifact."""
        return str(self.tree["version"])

    @property
    def roles(self) -> frozenset[str]:
        """The roles of the documents that are there."""
        return frozenset(entry["role"] for name, entry in self.parts.items() if name in DOCUMENTS)

    def of_role(self, role: str) -> list[str]:
        """The names of the parts of a role, in order."""
        return sorted(name for name, entry in self.parts.items() if entry["role"] == role)


def digest(data: bytes) -> str:
    """The digest of bytes as a writer gives it (H-4)."""
    return f"sha256:{sha256(data).hexdigest()}"


def check_digest(value: Any, at: str) -> None:
    """Refuse what is not a digest of a known algorithm (H-1, H-3)."""
    match = _DIGEST.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] == "sha256" and len(match[2]) != 64):
        raise Refusal("digest-form", at, "not a digest")
    if match[1] != "sha256":
        raise Refusal("digest-algorithm", at, match[1])


def check_version(value: Any, at: str) -> bool:
    """Refuse what is not a version, or not one of major version 1 (Q-4, Q-5).

    Returns:
        Whether it is a higher minor version than 1.0 (Q-6).
    """
    match = _VERSION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refusal("version-form", at, "not major.minor")
    if match[1] != "1":
        raise Refusal("version-unsupported", at, str(value))
    return match[2] != "0"


def read(data: bytes) -> Manifest:
    """The manifest of its bytes.

    Raises:
        Refusal: of what the manifest alone shows; the parts are not looked at.
    """
    tree = json.decode(data, MANIFEST)
    if tree.get("format") != "etui":
        raise Refusal("manifest-form", pointer(MANIFEST, "format"), "not etui")
    form = Form(MANIFEST, "manifest-form", check_version(tree.get("version"), pointer(MANIFEST, "version")))
    form.fields(tree, MANIFEST, required=FIELDS, optional=("metadata",))
    if "metadata" in tree:
        form.value_map(tree["metadata"], pointer(MANIFEST, "metadata"), filled=True)
    parts = form.map(tree["parts"], PARTS)
    if MANIFEST in parts:
        form.refuse(pointer(PARTS, MANIFEST), "the manifest does not list itself")
    check_part_names(parts, PARTS)
    for name, entry in parts.items():
        _check_entry(form, name, entry)
    manifest = Manifest(tree, parts, form.references)
    _check_requires(form, tree["requires"])
    _check_profile(manifest)
    return manifest


def _check_entry(form: Form, name: str, entry: Any) -> None:
    """Refuse the entry of a part that is not what its name asks for (M-2, M-3, P-4, G-1, N-1, N-2)."""
    at = pointer(PARTS, name)
    role = role_of(name)
    if role is None:
        form.refuse(at, "no part has such a name", "part-role")
    native = ("framework", "framework_version", "bindings") if role == "native" else ()
    seal = "header" if role == "data" else "digest"
    form.fields(entry, at, required=("media_type", "role", "size", seal, *native))
    form.text(entry["media_type"], pointer(at, "media_type"), filled=True)
    if entry["role"] != role:
        form.refuse(pointer(at, "role"), f"{entry['role']} at the place of {role}", "part-role")
    if entry["media_type"] != (media_type_of(name) or entry["media_type"]):
        form.refuse(pointer(at, "media_type"), f"not {media_type_of(name)}", "part-role")
    form.natural(entry["size"], pointer(at, "size"))
    if role == "data":
        _check_header(form, entry["header"], pointer(at, "header"))
    else:
        check_digest(entry["digest"], pointer(at, "digest"))
    if role == "native":
        _check_native(form, name, entry)


def _check_header(form: Form, header: Any, at: str) -> None:
    """Refuse the header of a data part that has not exactly its size and digest (M-3, Q-9)."""
    if form.fields(header, at, required=("digest", "size")).keys() != {"digest", "size"}:
        form.refuse(at, "fields that a header does not have")
    form.natural(header["size"], pointer(at, "size"))
    check_digest(header["digest"], pointer(at, "digest"))


def _check_native(form: Form, name: str, entry: dict[str, Any]) -> None:
    at = pointer(PARTS, name)
    if form.text(entry["framework"], pointer(at, "framework")) != name.split("/")[1]:
        form.refuse(pointer(at, "framework"), "not the framework of the part's name")
    if entry["framework_version"] is not None:
        form.text(entry["framework_version"], pointer(at, "framework_version"))
    for document, bound in form.map(entry["bindings"], pointer(at, "bindings")).items():
        if document not in DOCUMENTS:
            form.refuse(pointer(at, "bindings", document), "not a document")
        check_digest(bound, pointer(at, "bindings", document))


def _check_requires(form: Form, requires: Any) -> None:
    """Refuse a list of features that is not sorted or names an unknown one (M-4, M-5)."""
    listed = [form.text(feature, REQUIRES) for feature in form.list(requires, REQUIRES)]
    if listed != sorted(set(listed)):
        form.refuse(REQUIRES, "not sorted, or a feature twice", "requires-list")
    unknown = sorted(set(listed) - set(FEATURES))
    if unknown:
        form.refuse(REQUIRES, f"features that are not known: {unknown}", "feature-unknown")


def profile_of(roles: frozenset[str]) -> str | None:
    """The profile of an artifact with documents of these roles, or `None` if no row of chapter 18.1 has them."""
    config, weights, optimizer = (role in roles for role in ("config", "weights", "optimizer"))
    if config and weights:
        return "training" if optimizer else "model"
    if config:
        return "config" if not roles - {"config", "training"} else None
    if weights and (optimizer or "state" in roles):
        return "checkpoint"
    return "weights" if roles == {"weights"} else None


def _check_profile(manifest: Manifest) -> None:
    """Refuse documents that no profile has, and a profile that is not theirs (Q-1, M-6)."""
    profile = profile_of(manifest.roles)
    if profile is None:
        raise Refusal("profile-parts", PARTS, f"no profile has {sorted(manifest.roles)}")
    if manifest.tree["profile"] != profile:
        raise Refusal("profile-parts", pointer(MANIFEST, "profile"), f"not {profile}")


def build(
    entries: Mapping[str, Mapping[str, Any]],
    requires: set[str],
    version: str,
    metadata: Mapping[str, Any] | None,
    further: Mapping[str, Any],
) -> bytes:
    """The bytes of the manifest of parts with these entries.

    Args:
        entries: of each part but the manifest.
        requires: the features that the documents use.
        version: of the documents.
        metadata: the caller's own values, left out if there are none.
        further: fields that are kept from an earlier manifest (Q-6, Q-8).
    """
    roles = frozenset(str(entry["role"]) for name, entry in entries.items() if name in DOCUMENTS)
    profile = profile_of(roles)
    if profile is None:
        raise Refusal("profile-parts", PARTS, f"no profile has {sorted(roles)}")
    tree: dict[str, Any] = dict(further) | {
        "format": "etui",
        "parts": dict(entries),
        "profile": profile,
        "requires": sorted(requires),
        "version": version,
    }
    if metadata:
        tree["metadata"] = dict(metadata)
    return json.encode(tree)
