"""Signing an etui, and checking a signature together with every byte (SPEC.md 6.1).

    from etui import signing

    signing.sign("model.etui", "key.pem")                          # writes model.etui.sig
    found = signing.verify("model.etui", "model.etui.sig", "key.pub")
    found.identity

What is signed is the identity, the digest of the manifest, so that one signature serves the packed and the directory
form. It is made and checked by the OpenSSF library `model-signing` (extra `sign`), offline, with an elliptic-curve key.
Importing this module imports neither that library nor any cryptography.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from etui import digest, verification
from etui._version import SPEC_VERSION
from etui.artifact import Location
from etui.containers import signature as signature_container
from etui.containers.data_writer import Progress
from etui.containers.manifest import DOCUMENT
from etui.containers.signature import SignedIdentity
from etui.errors import EtuiError, RejectError, StorageError, error, without_secrets
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.storage import open_artifact
from etui.storage.failures import storage_errors
from etui.storage.small_files import put_small, read_small
from etui.storage.transaction import replace_file
from etui.storage.urls import is_url, lengthened, local
from etui.verification import Verification

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

__all__ = ["Checked", "Signed", "beside", "read_password", "sign", "verify"]

StrPath = str | os.PathLike[str]
Password = str | bytes | Callable[[], str | bytes] | None

_KEY_BYTES = 65_536
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SUBJECT = "etui"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was written.

    Attributes:
        location: what was signed, for people.
        identity: digest of its manifest, which is what the signature is over.
        signature: the file that holds the signature.
        public_key: digest of the PEM text of the public key, as `sha256sum` of its file gives it.
    """

    location: str
    identity: str
    signature: str
    public_key: str

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/sign.schema.json` describes it."""
        return {"format": "etui-signing", "version": SPEC_VERSION, "ok": True, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Checked:
    """A signature that holds, of an artifact in which every byte is as it was signed.

    Attributes:
        verification: what the full verification found.
        signature: the file of the signature.
        public_key: digest of the PEM text of the public key.
    """

    verification: Verification
    signature: str
    public_key: str

    @property
    def identity(self) -> str:
        """Digest of the manifest: what was signed."""
        return self.verification.identity

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/verify.schema.json` describes it."""
        signature = {"file": self.signature, "public_key": self.public_key}
        return {**self.verification.as_json(), "signature": signature}


def beside(location: StrPath) -> Path | str:
    """Where the signature of an artifact lies unless another place is named: its name and ``.sig`` (H-13)."""
    if is_url(location):
        return lengthened(str(location), ".sig")
    path = Path(local(os.fspath(location)))
    if path.name in {"", ".."}:
        path = Path(os.path.abspath(path))  # noqa: PTH100 (a link keeps its own name)
    return path.with_name(f"{path.name}.sig")


def sign(
    location: StrPath,
    key: StrPath,
    signature: StrPath | None = None,
    *,
    password: Password = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Signed:
    """Verify every byte of an artifact, then sign its identity and write the signature beside it.

    An earlier signature at the place is replaced in one step; any other file there is left alone.

    Args:
        location: an etui of either form, or its URL.
        key: the file of the private key: elliptic-curve of P-256, P-384 or P-521, in PEM form.
        signature: the file or URL to write; by default `beside` the artifact.
        password: of an encrypted key, or what gives it when it is needed.
        progress: called as (what is checked, bytes done, bytes in all) while the artifact is verified.
        limits: refuse what is beyond these.

    Raises:
        RejectError: the artifact breaks a clause of SPEC.md, or a byte was changed; nothing is written.
        UsageError: ``signing-key``, ``signing-password``, ``signature-place``.
        StorageError: ``signature-target``, ``storage-failed``.
        MissingExtraError: ``extra-sign``.
    """
    library = _library()
    named = beside(location) if signature is None else signature
    target = str(named) if is_url(named) else Path(named)
    _check_place(location, target)
    secret = _check_private_key(key, password)
    found = verification.verify(location, progress=progress, limits=limits)
    manifest = _manifest(location, limits)
    if digest.of(manifest) != found.identity:
        raise _other_identity(str(location), found.identity, digest.of(manifest))
    with storage_errors(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="etui-") as scratch:
        folder, made = _laid_out(scratch, manifest), Path(scratch, "signature")
        # The library says that the password is a text, and hands it to `cryptography`, which takes bytes alone.
        signer = library.signing.Config().use_elliptic_key_signer(private_key=key, password=cast(Any, secret))
        everything = library.hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
        signer.set_hashing_config(everything).sign(folder, made)
        data = made.read_bytes()
    claim = signature_container.decode(data, str(target))
    if is_url(target):
        put_small(str(target), data + b"\n")
    else:
        with replace_file(target) as file:
            file.write(data + b"\n")
    return Signed(found.location, claim.identity, without_secrets(str(target)), claim.public_key)


def verify(
    location: Location,
    signature: StrPath | None,
    public_key: StrPath,
    *,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Checked:
    """Check a signature of an artifact, then every byte of the artifact.

    A signature that holds says no more than that the owner of the key stood behind the manifest. Each other byte is
    covered by the digests below it, which the full verification checks; both have passed when this returns.

    Args:
        location: an etui of either form, its URL, the bytes of a packed artifact, or part name -> bytes.
        signature: the file of the signature, or its URL; `None` for the one `beside` a path.
        public_key: the file of the public key in PEM form, which the caller must have from whom they trust.
        progress: called as (what is checked, bytes done, bytes in all) while the artifact is verified.
        limits: refuse what is beyond these.

    Raises:
        MalformedError: ``signature-form``.
        IntegrityError: ``signature-key``, ``signature-invalid``, ``signature-identity``.
        RejectError: the artifact breaks a clause of SPEC.md, or a byte was changed.
        UsageError: ``signing-key``.
        StorageError: ``signature-missing``, ``storage-failed``.
        MissingExtraError: ``extra-sign``.
    """
    library = _library()
    if signature is None:
        if not isinstance(location, str | os.PathLike):
            raise error("signature-missing", found="an artifact in memory, which nothing lies beside")
        signature = beside(location)
    file = os.fspath(signature)
    pem = _check_public_key(public_key)
    claim = signature_container.decode(_read_signature(file), file)
    if claim.public_key != digest.of(pem):
        raise error("signature-key", where=file, found=f"{claim.public_key}, not {digest.of(pem)}")
    manifest = _manifest(location, limits)
    _confirm(library, claim, manifest, pem, file)
    found = verification.verify(location, progress=progress, limits=limits)
    if found.identity != claim.identity:  # another artifact took the place meanwhile
        raise _other_identity(file, claim.identity, found.identity)
    return Checked(found, without_secrets(file), claim.public_key)


def read_password(file: StrPath) -> bytes:
    """The first line of a file, without its end.

    Raises:
        StorageError: ``storage-failed``.
    """
    return read_small(file, _KEY_BYTES).split(b"\n")[0].removesuffix(b"\r")


def _library() -> Any:
    try:
        import model_signing
    except ImportError as reason:
        raise error("extra-sign", found=str(reason)) from reason
    return model_signing


def _confirm(library: Any, claim: SignedIdentity, manifest: bytes, pem: bytes, where: str) -> None:
    """Have the library check the signature over a folder that holds nothing but the manifest."""
    from cryptography.exceptions import InvalidSignature

    with storage_errors(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="etui-") as scratch:
        folder, bundle, key = _laid_out(scratch, manifest), Path(scratch, "signature"), Path(scratch, "key")
        bundle.write_bytes(claim.bundle)
        key.write_bytes(pem)
        try:
            library.verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, bundle)
        except InvalidSignature:
            raise error("signature-invalid", where=where) from None
        except ValueError as reason:
            # The key has confirmed the statement, which is not one of this manifest, or not one that holds together.
            if claim.identity != digest.of(manifest):
                raise _other_identity(where, claim.identity, digest.of(manifest)) from None
            raise error("signature-form", where=where, found=str(reason)) from None


def _laid_out(scratch: str, manifest: bytes) -> Path:
    folder = Path(scratch, _SUBJECT)
    folder.mkdir()
    Path(folder, DOCUMENT).write_bytes(manifest)
    return folder


def _other_identity(where: str, signed: str, found: str) -> EtuiError:
    return error("signature-identity", where=where, found=f"it signs {signed}, and this is {found}")


def _manifest(location: Location, limits: Limits) -> bytes:
    name = str(location) if isinstance(location, str | os.PathLike) else ""
    with naming(name), open_artifact(location, limits) as reader:
        source = reader.source(DOCUMENT)
        if source.size > limits.document_bytes:
            raise error("limit-document", where=DOCUMENT, found=f"{source.size} bytes")
        return source.read(0, source.size)


def _read_signature(file: str) -> bytes:
    try:
        return read_small(file, signature_container.MOST_BYTES)
    except StorageError as failure:
        if failure.errno == ENOENT:
            raise error("signature-missing", where=file) from failure
        raise


def _check_place(location: StrPath, target: Path | str) -> None:
    """Refuse a place inside of the artifact, and one where there is something else than a signature."""
    if isinstance(target, str):
        artifact_url = f"{str(location).rstrip('/')}/"
        if f"{target}/".startswith(artifact_url):
            raise error("signature-place", where=target)
        _check_earlier(target, target)
        return
    artifact, place = Path(os.path.realpath(location)), Path(os.path.realpath(target))
    if place == artifact or artifact in place.parents:
        raise error("signature-place", where=str(target))
    with storage_errors(str(target)), suppress(FileNotFoundError):
        if place.stat().st_size == 0 and place.is_file():
            return
        _check_earlier(place, str(target))


def _check_earlier(place: StrPath, where: str) -> None:
    """Refuse to replace what is no signature."""
    try:
        data = read_small(place, signature_container.MOST_BYTES)
        if data:
            signature_container.decode(data, where)
    except (RejectError, StorageError) as reason:
        if isinstance(reason, StorageError) and reason.errno == ENOENT and is_url(place):
            return
        raise error("signature-target", where=where, found=reason.found) from reason


def _check_private_key(file: StrPath, password: Password) -> bytes | None:
    """The password that opens the key, or `None` for a key that has none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    where, pem = os.fspath(file), _read_key(file)
    secret = None
    if b"ENCRYPTED" in pem:
        given = password() if callable(password) else password
        if not given:
            raise error("signing-password", where=where, found="no password for an encrypted key")
        secret = given.encode() if isinstance(given, str) else given
    try:
        key = load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as reason:
        if secret is not None:
            raise error("signing-password", where=where, found=str(reason)) from reason
        raise error("signing-key", where=where, found="not a private key in PEM form") from reason
    if not isinstance(key, EllipticCurvePrivateKey):
        raise error("signing-key", where=where, found=f"a private key of another kind: {type(key).__name__}")
    _check_curve(key.public_key(), where)
    return secret


def _check_public_key(file: StrPath) -> bytes:
    """The PEM text of a public key, as it is written everywhere."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    where, pem = os.fspath(file), _read_key(file)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as reason:
        hint = "Make it from the private key: `openssl pkey -in KEY -pubout -out PUBLIC`."
        raise error("signing-key", where=where, found="not a public key in PEM form", hint=hint) from reason
    if not isinstance(key, EllipticCurvePublicKey):
        raise error("signing-key", where=where, found=f"a public key of another kind: {type(key).__name__}")
    _check_curve(key, where)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read_key(file: StrPath) -> bytes:
    pem = read_small(file, _KEY_BYTES)
    if len(pem) > _KEY_BYTES:
        raise error("signing-key", where=os.fspath(file), found=f"more than {_KEY_BYTES} bytes")
    return pem


def _check_curve(key: EllipticCurvePublicKey, where: str) -> None:
    if key.curve.name not in _CURVES:
        raise error("signing-key", where=where, found=f"a key of the curve {key.curve.name}")
