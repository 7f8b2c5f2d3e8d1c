"""Validating an artifact: its structure, and each fault in its documents that a schema shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from etui import digest, schemas
from etui._version import SPEC_VERSION
from etui.artifact import Location
from etui.canonical import json, msgpack, values
from etui.containers import manifest as manifest_container
from etui.errors import EtuiError, RejectError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.shortage import shortage
from etui.storage.base import ArtifactReader
from etui.storage.urls import Options
from etui.verification import claimed_parts, load_whole, opened, text_of


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where an artifact breaks a clause.

    Attributes:
        error_class, code: as `EtuiError` has them.
        clause: id of the broken clause, or `None`.
        where: the place.
        message: what is wrong there, for people.
    """

    error_class: str
    code: str
    clause: str | None
    where: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The fault as the schema `cli/validate.schema.json` describes it."""
        return {
            "class": self.error_class,
            "code": self.code,
            "clause": self.clause,
            "where": self.where,
            "message": self.message,
        }


@dataclass(slots=True)
class Validation:
    """The faults that were found in an artifact.

    Attributes:
        location: what was validated, for people.
        faults: empty for a valid artifact. A reader stops at the first fault; further ones are those that the schemas
            show in documents that decode.
        notes: what was not checked, and why.
        identity: digest of the manifest, or `None` if there is none to read.
    """

    location: str
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    identity: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the artifact is valid."""
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/validate.schema.json` describes it."""
        return {
            "format": "etui-validation",
            "version": SPEC_VERSION,
            "location": self.location,
            "ok": self.ok,
            "identity": self.identity,
            "faults": [fault.as_json() for fault in self.faults],
            "notes": self.notes,
        }


@shortage()
def validate(
    location: Location, *, limits: Limits = DEFAULT_LIMITS, storage_options: Options | None = None
) -> Validation:
    """Check the structure of an artifact: everything but the bytes of its tensors, assets and other files.

    Args:
        location: a path of either form, a URL, the bytes of a packed artifact, or part name -> bytes.
        limits: refuse what is beyond these.
        storage_options: as `verify` takes them.

    Raises:
        StorageError: it cannot be read.
    """
    validation = Validation(text_of(location))
    try:
        reader = opened(location, limits, storage_options)
    except RejectError as fault:
        validation.faults.append(_fault(fault))
        return validation
    with reader:
        validation.location = reader.location
        try:
            model, manifest = load_whole(reader, limits)
            validation.identity = model.digest
            claimed_parts(model, manifest, reader, limits).check_all()
        except RejectError as fault:
            validation.faults.append(_fault(fault))
        _check_schemas(reader, validation, limits)
    return validation


def _fault(fault: EtuiError) -> Fault:
    return Fault(fault.error_class, fault.code, fault.clause, fault.where, str(fault))


def _check_schemas(reader: ArtifactReader, validation: Validation, limits: Limits) -> None:
    """Check every document that decodes, and whose bytes are those that the manifest means, against its schema."""
    try:
        data = _document(reader, manifest_container.DOCUMENT, limits)
        validation.identity = digest.of(data)
        tree = json.decode(data, where=manifest_container.DOCUMENT, limits=limits)
        _check_schema("manifest", tree, manifest_container.DOCUMENT, validation)
        manifest = manifest_container.decode(data, limits)
    except RejectError:
        return  # the reader met the same fault
    for name, entry in manifest.parts.items():
        if entry.role not in manifest_container.DOCUMENTS:
            continue
        try:
            content = _document(reader, name, limits)
            if digest.of(content, (entry.digest or "").partition(":")[0]) != entry.digest:
                continue  # of bytes that were changed, nothing is used (H-5)
            codec = msgpack if name.endswith(".msgpack") else json
            tree = codec.decode(content, where=name, limits=limits)
        except RejectError:
            continue  # as above
        _check_schema(entry.role, values.json_view(tree), name, validation)


def _document(reader: ArtifactReader, name: str, limits: Limits) -> bytes:
    source = reader.source(name)
    if source.size > limits.document_bytes:
        raise error("limit-document", where=name, found=f"{source.size} bytes")
    return source.read(0, source.size)


def _check_schema(role: str, tree: Any, name: str, validation: Validation) -> None:
    note = schemas.version_note(tree)
    if note:
        validation.notes.append(f"{name}: {note}")
    for fault in schemas.validate(role, tree, name):
        where = f"{name} at {fault.path or '/'}"
        message = f"{fault} [{role}-form]"
        validation.faults.append(Fault("invalid", f"{role}-form", fault.clause, where, message))
