"""What the tests of signing share: keys, statements, and bundles of anything that a key can sign."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import etui
from etui import digest

IN_TOTO = "application/vnd.in-toto+json"


class Key:
    """A private key in a file, and its public key in another."""

    def __init__(self, folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> None:
        self.secret = ec.generate_private_key(curve or ec.SECP256R1())
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        self.pem = public_pem(self.secret)
        self.public.write_bytes(self.pem)
        self.private.write_bytes(private_pem(self.secret))

    def bundle(self, payload: bytes, hint: str | None = None) -> dict[str, Any]:
        """A bundle over any payload, which this key confirms."""
        signed = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
        sig = self.secret.sign(signed, ec.ECDSA(hashes.SHA256()))
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": hint or digest.of(self.pem)[7:]}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": base64.b64encode(sig).decode(), "keyid": ""}],
            },
        }


def private_pem(secret: Any, encryption: KeySerializationEncryption | None = None) -> bytes:
    return bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))


def public_pem(secret: Any) -> bytes:
    return bytes(secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def statement(identity: str) -> dict[str, Any]:
    """The statement that is to be signed for an identity."""
    value = identity.removeprefix("sha256:")
    root = digest.of(bytes.fromhex(value)).removeprefix("sha256:")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "etui", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": "manifest.json", "algorithm": "sha256", "digest": value}],
        },
    }


def write(path: Path, content: Any) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def flip_last(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def refusal(call: Callable[..., object], *arguments: object, **options: object) -> str | None:
    """The code with which a call is refused."""
    try:
        call(*arguments, **options)
    except etui.EtuiError as failure:
        return failure.code
    return None
