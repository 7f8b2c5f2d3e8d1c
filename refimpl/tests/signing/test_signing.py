"""Signing an artifact and checking its signature: what is signed, what is refused, places and keys."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

import etui
from etui import digest, signing, verification
from etui.canonical import json as canonical
from etui.testing.samples import everything

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("signing_kit")

# What is signed


@pytest.mark.clause("H-9@3ec095", "H-13@caf999")
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_signature_lies_beside_and_holds(tmp_path: Path, packed: Path, curve: ec.EllipticCurve) -> None:
    """A key of each curve signs the identity, into a file with the artifact's name and `.sig` behind it."""
    key = kit.Key(tmp_path, "of the curve", curve)
    made = signing.sign(packed, key.private)
    assert made.signature == f"{packed}.sig"
    found = signing.verify(packed, None, key.public)
    assert (found.identity, found.public_key) == (etui.verify(packed).identity, digest.of(key.pem))
    assert (made.identity, made.public_key) == (found.identity, found.public_key)
    assert found.verification == etui.verify(packed)


@pytest.mark.clause("H-9@3ec095")
def test_what_is_signed_is_the_manifest_alone(packed: Path, signed: Path) -> None:
    """The statement has one resource, `manifest.json`, whose digest is the identity."""
    envelope = json.loads(signed.read_bytes())["dsseEnvelope"]
    found = json.loads(base64.b64decode(envelope["payload"]))
    assert found == kit.statement(etui.verify(packed).identity)


@pytest.mark.clause("H-9@3ec095")
def test_one_signature_serves_either_form(packed: Path, folder: Path, signed: Path, key: Any) -> None:
    """The signature of the packed form holds for the directory form, for bytes, and for parts in memory."""
    parts = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    forms: list[Any] = [packed, folder, packed.read_bytes(), parts]
    found = [signing.verify(form, signed, key.public).verification.form for form in forms]
    assert found == ["packed", "directory", "packed", "memory"]


@pytest.mark.library
def test_the_library_of_model_signing_confirms_it(folder: Path, signed: Path, key: Any) -> None:
    """The OpenSSF library itself checks the manifest of a folder by the signature."""
    model_signing: Any = import_module("model_signing")
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key.public)
    config.set_ignore_unsigned_files(True).verify(folder, signed)
    kit.flip_last(folder / "manifest.json")
    with pytest.raises(ValueError, match="Signature mismatch"):
        config.verify(folder, signed)


@pytest.mark.library
def test_what_the_library_of_model_signing_signed_holds(tmp_path: Path, folder: Path, key: Any) -> None:
    """A signature that the OpenSSF library makes of a folder with the manifest alone is taken."""
    model_signing: Any = import_module("model_signing")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=key.private)
    signer.sign(tmp_path / "alone", tmp_path / "theirs.sig")
    assert signing.verify(folder, tmp_path / "theirs.sig", key.public).identity == etui.verify(folder).identity


# What is refused


@pytest.mark.clause("H-10@44508f")
def test_another_key_is_told(tmp_path: Path, packed: Path, signed: Path) -> None:
    """A signature by another key is refused, and the error names both keys."""
    other = kit.Key(tmp_path, "other")
    with pytest.raises(etui.IntegrityError, match=r"signature-key, SPEC\.md H-10") as caught:
        signing.verify(packed, signed, other.public)
    assert digest.of(other.pem) in caught.value.found


@pytest.mark.clause("H-10@44508f")
def test_a_signature_that_names_a_key_needs_its_secret(tmp_path: Path, packed: Path, key: Any) -> None:
    """Who names another's key in a signature of their own is refused."""
    payload = json.dumps(kit.statement(etui.verify(packed).identity)).encode()
    thief = kit.Key(tmp_path, "thief")
    for forger, expected in ((thief, "signature-invalid"), (key, None)):
        forged = kit.write(tmp_path / "forged", forger.bundle(payload, digest.of(key.pem)[7:]))
        assert kit.refusal(signing.verify, packed, forged, key.public) == expected


@pytest.mark.clause("H-10@44508f")
def test_a_signature_is_of_its_own_statement(tmp_path: Path, packed: Path, signed: Path, key: Any) -> None:
    """A statement, or a signature, that was changed by one bit or put together from two is not confirmed."""
    bundle = json.loads(signed.read_bytes())
    other = key.bundle(json.dumps(kit.statement("sha256:" + "0" * 64)).encode())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    sig = base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    assert payload.count(b'"etui"') == 1
    wrong = [deepcopy(bundle) for _ in range(4)]
    renamed = payload.replace(b'"etui"', b'"etuj"')  # the name of the subject, on which nothing else depends
    wrong[0]["dsseEnvelope"]["payload"] = base64.b64encode(renamed).decode()
    wrong[1]["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(sig[:-1] + bytes([sig[-1] ^ 1])).decode()
    wrong[2]["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"]
    wrong[3]["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    files = [kit.write(packed.with_name(f"{number}.sig"), content) for number, content in enumerate(wrong)]
    codes = [kit.refusal(signing.verify, packed, file, key.public) for file in files]
    assert codes == ["signature-invalid"] * 4


@pytest.mark.clause("H-11@41b2fa")
def test_a_signature_of_another_artifact_is_told(tmp_path: Path, signed: Path, key: Any) -> None:
    """A good signature of one artifact is refused beside another, and the error names both identities."""
    model = everything()
    model.metadata["note"] = "another"
    identity = etui.save(model, tmp_path / "other.etui")
    with pytest.raises(etui.IntegrityError, match=r"signature-identity, SPEC\.md H-11") as caught:
        signing.verify(tmp_path / "other.etui", signed, key.public)
    assert identity in caught.value.found


@pytest.mark.clause("H-11@41b2fa")
@pytest.mark.parametrize("how", ["another value", "no JSON"])
def test_a_changed_manifest_is_found_before_it_is_used(folder: Path, signed: Path, key: Any, how: str) -> None:
    """A manifest that was changed is refused by its signature, whatever it says now."""
    path = folder / "manifest.json"
    manifest = canonical.decode(path.read_bytes(), where="manifest.json")
    manifest["metadata"] = {"author": "somebody else"}
    path.write_bytes(canonical.encode(manifest) if how == "another value" else b"{{{{")
    assert kit.refusal(signing.verify, folder, signed, key.public) == "signature-identity"


@pytest.mark.clause("H-11@41b2fa")
@pytest.mark.parametrize("call", ["sign", "verify"])
def test_an_artifact_that_is_replaced_meanwhile_is_found(
    packed: Path, signed: Path, key: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was verified and what the signature is of are the same artifact."""
    real = verification.verify

    def verify(*arguments: Any, **options: Any) -> verification.Verification:
        found = real(*arguments, **options)
        object.__setattr__(found, "identity", "sha256:" + "0" * 64)
        return found

    monkeypatch.setattr(verification, "verify", verify)
    before = signed.read_bytes()
    calls = {
        "sign": lambda: signing.sign(packed, key.private),
        "verify": lambda: signing.verify(packed, signed, key.public),
    }
    assert kit.refusal(calls[call]) == "signature-identity"
    assert signed.read_bytes() == before


@pytest.mark.clause("H-12@d293e8")
def test_a_changed_byte_of_any_part_is_found_below_a_good_signature(folder: Path, signed: Path, key: Any) -> None:
    """One flipped bit in any part but the manifest is found although the signature holds."""
    parts = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(parts) > 8
    for part in parts:
        kit.flip_last(part)
        assert kit.refusal(signing.verify, folder, signed, key.public) == "digest-mismatch"
        kit.flip_last(part)
    assert kit.refusal(signing.verify, folder, signed, key.public) is None


@pytest.mark.clause("H-12@d293e8")
def test_a_file_too_many_is_found_below_a_good_signature(folder: Path, signed: Path, key: Any) -> None:
    """A file that the signed manifest does not list is refused, and so is a signature within the folder."""
    (folder / "signature.sig").write_bytes(signed.read_bytes())
    assert kit.refusal(signing.verify, folder, folder / "signature.sig", key.public) == "part-unlisted"


@pytest.mark.library
def test_what_is_damaged_is_not_signed(folder: Path, key: Any) -> None:
    """Signing verifies every byte first, and writes nothing if one is wrong."""
    kit.flip_last(folder / "weights.safetensors")
    assert kit.refusal(signing.sign, folder, key.private) == "digest-mismatch"
    assert not Path(signing.beside(folder)).exists()


@pytest.mark.library
def test_no_signature_is_told(packed: Path, key: Any) -> None:
    """A signature that is not there has an error of its own, and an artifact in memory has none beside it."""
    for location in (packed, packed.read_bytes()):
        with pytest.raises(etui.StorageError, match="signature-missing"):
            signing.verify(location, None, key.public)


# Places


@pytest.mark.clause("H-13@caf999")
def test_where_a_signature_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is the artifact's name with `.sig` behind it, however its path is written."""
    monkeypatch.chdir(tmp_path)
    assert signing.beside("a/model.etui") == Path("a/model.etui.sig")
    assert signing.beside("a/model/") == Path("a/model.sig")
    assert signing.beside(".") == tmp_path.with_name(f"{tmp_path.name}.sig")
    assert signing.beside("a/..") == signing.beside(".")


@pytest.mark.library
def test_a_signature_replaces_a_signature_alone(tmp_path: Path, packed: Path, folder: Path, key: Any) -> None:
    """An earlier signature and an empty file are replaced; the artifact, a key, a folder and a text are not."""
    other = kit.Key(tmp_path, "other")
    target = kit.write(tmp_path / "s.sig", b"")
    for current in (key, other):
        signing.sign(packed, current.private, target)
        assert signing.verify(packed, target, current.public).signature == str(target)
    text = kit.write(tmp_path / "notes.txt", b"a text")
    (tmp_path / "place").mkdir()
    link = tmp_path / "link"
    link.symlink_to(packed)
    refused = {
        packed: "signature-place",
        link: "signature-place",
        key.private: "signature-target",
        text: "signature-target",
        tmp_path / "place": "signature-target",
        tmp_path / "nowhere/s.sig": "storage-failed",
    }
    before = {path: path.read_bytes() for path in (packed, key.private, text)}
    found = {path: kit.refusal(signing.sign, packed, key.private, path) for path in refused}
    assert found == refused
    assert {path: path.read_bytes() for path in before} == before
    assert kit.refusal(signing.sign, folder, key.private, folder / "assets" / "s.sig") == "signature-place"


# Keys


@pytest.mark.library
def test_other_keys_are_refused(tmp_path: Path, packed: Path, signed: Path, key: Any) -> None:
    """A key of another kind, of another curve, of the wrong half, or no key at all has one code on either side."""
    secrets = [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
    ]
    wrong = [(kit.private_pem(secret), kit.public_pem(secret)) for secret in secrets]
    wrong += [(key.pem, kit.private_pem(key.secret)), (b"", b""), (b"a" * 65_537, b"a" * 65_537)]
    # A key with so much behind it that it is not read to its end.
    wrong += [(kit.private_pem(key.secret).ljust(65_537), key.pem.ljust(65_537))]
    damaged = kit.private_pem(key.secret)[:80]
    wrong += [(damaged, damaged)]
    for private, public in wrong:
        assert kit.refusal(signing.sign, packed, kit.write(tmp_path / "k", private)) == "signing-key"
        assert kit.refusal(signing.verify, packed, signed, kit.write(tmp_path / "k", public)) == "signing-key"
    assert kit.refusal(signing.sign, packed, tmp_path / "none") == "storage-failed"


@pytest.mark.library
def test_a_key_with_a_password(tmp_path: Path, packed: Path, key: Any) -> None:
    """An encrypted key opens with its password, as text, as bytes, or when asked for; a plain key asks for none."""
    kit.write(tmp_path / "locked", kit.private_pem(key.secret, BestAvailableEncryption("größer".encode())))
    for right in ("größer", "größer".encode(), lambda: "größer"):
        signing.sign(packed, tmp_path / "locked", password=right)
        assert signing.verify(packed, None, key.public).identity
    for wrong in (None, "", "grösser", b"\xff", lambda: ""):
        assert kit.refusal(signing.sign, packed, tmp_path / "locked", password=wrong) == "signing-password"

    def asked() -> str:
        raise AssertionError

    signing.sign(packed, key.private, password=asked)


@pytest.mark.library
def test_a_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    """The end of the line is no part of the password, and spaces are."""
    for content in (b" a b ", b" a b \n", b" a b \r\n", b" a b \nmore\n"):
        assert signing.read_password(kit.write(tmp_path / "password", content)) == b" a b "


# The library


@pytest.mark.library
def test_a_missing_extra_is_told(packed: Path, signed: Path, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library, the error says what to install."""
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for call in (lambda: signing.sign(packed, key.private), lambda: signing.verify(packed, signed, key.public)):
        with pytest.raises(etui.MissingExtraError, match=r'pip install "etui\[sign\]"') as caught:
            call()
        assert caught.value.code == "extra-sign"


@pytest.mark.library
def test_nothing_is_imported_before_it_is_used() -> None:
    """Importing the module imports neither the library nor any cryptography."""
    code = "import sys, etui.signing; print(sorted({'model_signing', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.library
def test_signing_and_checking_need_no_network(packed: Path, key: Any) -> None:
    """Neither connects to anything, nor asks for an address."""
    code = (
        "import sys\n"
        "from etui import signing\n"
        "events = []\n"
        "sys.addaudithook(lambda event, _: events.append(event))\n"
        "signing.sign(*sys.argv[1:3])\n"
        "signing.verify(sys.argv[1], None, sys.argv[3])\n"
        "assert 'open' in events\n"
        "print({'socket.connect', 'socket.getaddrinfo', 'socket.sendto'} & set(events))\n"
    )
    arguments = [sys.executable, "-c", code, str(packed), str(key.private), str(key.public)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
