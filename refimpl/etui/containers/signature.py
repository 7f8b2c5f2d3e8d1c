"""Detached signatures (SPEC.md 6.1): what a Sigstore bundle says, before anything of it is proved."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from etui.containers.manifest import DOCUMENT
from etui.errors import EtuiError, error, shown

MOST_BYTES = 65_536
"""Bytes that a signature may have (H-9)."""

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SignedIdentity:
    """What a signature claims.

    Attributes:
        identity: the digest of the manifest that was signed.
        public_key: digest of the PEM text of the public key that is said to confirm it.
        bundle: the bundle, rebuilt from nothing but what was looked at here, so that whoever checks it next reads the
            same in it.
    """

    identity: str
    public_key: str
    bundle: bytes


class _FormError(Exception):
    """What is wrong with the form of a signature."""


def decode(data: bytes, where: str) -> SignedIdentity:
    """Read a signature; it may be of anyone.

    Args:
        data: the file's bytes.
        where: its name, for messages.

    Raises:
        MalformedError: ``signature-form``.
    """
    try:
        if len(data) > MOST_BYTES:
            _fail(f"more than {MOST_BYTES} bytes")
        return _bundle(_tree(data, "the file"))
    except _FormError as reason:
        raise _refusal(where, str(reason)) from None


def _refusal(where: str, found: str) -> EtuiError:
    return error("signature-form", where=where, found=found)


def _fail(found: str) -> NoReturn:
    raise _FormError(found)


def _tree(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object in which no key is there twice: two readers could take either."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            _fail(f"a key that is there twice among {shown([key for key, _ in pairs])}")
        return found

    def constant(word: str) -> NoReturn:
        _fail(f"{word}, which JSON does not have")

    try:
        tree = json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_constant=constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as reason:
        _fail(f"{what} is not JSON in UTF-8: {shown(str(reason))}")
    return _object(tree, what)


def _bundle(tree: dict[str, Any]) -> SignedIdentity:
    _known(tree, "the file", {"mediaType", "verificationMaterial", "dsseEnvelope"})
    _equal(tree.get("mediaType"), _BUNDLE, "mediaType")
    material = _object(tree.get("verificationMaterial"), "verificationMaterial")
    _known(material, "verificationMaterial", {"publicKey", "tlogEntries"})
    if material.get("tlogEntries", []) != []:
        _fail("tlogEntries, which a signature with a key does not have")
    key = _object(material.get("publicKey"), "publicKey")
    _known(key, "publicKey", {"hint"})
    hint = _hex(key.get("hint"), "hint")

    envelope = _object(tree.get("dsseEnvelope"), "dsseEnvelope")
    _known(envelope, "dsseEnvelope", {"payload", "payloadType", "signatures"})
    _equal(envelope.get("payloadType"), _PAYLOAD, "payloadType")
    signature = _object(_only(envelope.get("signatures"), "signatures"), "signature")
    _known(signature, "signature", {"sig", "keyid"})
    _text(signature.get("keyid", ""), "keyid")
    payload = _base64(envelope.get("payload"), "payload")
    rebuilt = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(_base64(signature.get("sig"), "sig")).decode(), "keyid": ""}],
        },
    }
    return SignedIdentity(_statement(_tree(payload, "the payload")), f"sha256:{hint}", json.dumps(rebuilt).encode())


def _statement(tree: dict[str, Any]) -> str:
    """The identity in an in-toto statement; fields of later versions are passed over, as in-toto has it."""
    _equal(tree.get("_type"), _STATEMENT, "_type")
    _equal(tree.get("predicateType"), _PREDICATE, "predicateType")
    subject = _object(_only(tree.get("subject"), "subject"), "subject")
    _text(subject.get("name"), "name of the subject")
    _hex(_object(subject.get("digest"), "digest of the subject").get("sha256"), "digest of the subject")
    predicate = _object(tree.get("predicate"), "predicate")
    serialization = _object(predicate.get("serialization"), "serialization")
    _equal(serialization.get("method"), "files", "method")
    _equal(serialization.get("hash_type"), "sha256", "hash_type")
    if not isinstance(serialization.get("allow_symlinks"), bool):
        _fail("allow_symlinks is not true or false")
    ignored = serialization.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(path, str) and path.isprintable() for path in ignored):
        _fail("ignore_paths is not a list of names")
    resource = _object(_only(predicate.get("resources"), "resources"), "resource")
    _equal(resource.get("name"), DOCUMENT, "name of the resource")
    _equal(resource.get("algorithm"), "sha256", "algorithm")
    return f"sha256:{_hex(resource.get('digest'), 'digest of the resource')}"


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _fail(f"{what} is {shown(value)} in place of an object")
    return value


def _only(value: Any, what: str) -> Any:
    if not isinstance(value, list) or len(value) != 1:
        _fail(f"{what} is {shown(value)} in place of a list of one")
    return value[0]


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        _fail(f"{what} is {shown(value)} in place of a text")
    return value


def _equal(value: Any, expected: str, what: str) -> None:
    if value != expected:
        _fail(f"{what} is {shown(value)} in place of {expected!r}")


def _hex(value: Any, what: str) -> str:
    if not _HEX.fullmatch(_text(value, what)):
        _fail(f"{what} is {shown(value)} in place of a SHA-256 in hexadecimal digits")
    return str(value)


def _base64(value: Any, what: str) -> bytes:
    try:
        return base64.b64decode(_text(value, what), validate=True)
    except (binascii.Error, ValueError) as reason:
        _fail(f"{what} is not base64: {reason}")


def _known(tree: dict[str, Any], what: str, names: set[str]) -> None:
    if strange := sorted(tree.keys() - names):
        _fail(f"{what} has {shown(strange)}, which a signature with a key does not have")
