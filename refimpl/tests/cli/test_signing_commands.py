"""`etui sign`, and `etui verify` with a key: the answers for people and in JSON, exit codes, and passwords."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import etui
from etui import digest

pytestmark = pytest.mark.library

Run = Callable[..., Any]


@pytest.fixture
def fingerprint(tmp_path: Path) -> str:
    """What names the key in key.pem and key.pub; locked.pem is the same key with a password."""
    secret = ec.generate_private_key(ec.SECP256R1())
    encryptions: dict[str, KeySerializationEncryption] = {
        "key.pem": NoEncryption(),
        "locked.pem": BestAvailableEncryption(b"a password"),
    }
    for name, encryption in encryptions.items():
        pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (tmp_path / name).write_bytes(pem)
    public = secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    return digest.of(public)


def test_sign_and_verify_tell_identity_and_key(run: Run, sample: str, fingerprint: str) -> None:
    """Both commands name the identity, the signature and the public key, and exit with 0."""
    identity = etui.verify(sample).identity
    signed = run("sign", sample, "--key", "key.pem")
    assert (signed.code, signed.err) == (0, "")
    assert signed.out.splitlines() == [
        "sample.etui: every byte is as it was written, and signed",
        f"  identity    {identity}",
        "  signature   sample.etui.sig",
        f"  public key  {fingerprint}",
    ]
    verified = run("verify", sample, "--public-key", "key.pub")
    assert (verified.code, verified.err) == (0, "")
    assert f"  identity   {identity}" in verified.out.splitlines()
    assert verified.out.splitlines()[-2:] == ["  signature  sample.etui.sig", f"  signed by  {fingerprint}"]
    assert "signed" not in run("verify", sample).out


def test_sign_and_verify_print_json(run_json: Run, sample: str, fingerprint: str) -> None:
    """The JSON tells the same; without a key, there is nothing about a signature."""
    identity = etui.verify(sample).identity
    code, document = run_json("cli/sign", "sign", sample, "--key", "key.pem", "--signature", "other.sig")
    assert (code, document["identity"], document["signature"]) == (0, identity, "other.sig")
    assert document["public_key"] == fingerprint
    options = ["--public-key", "key.pub", "--signature", "other.sig"]
    code, document = run_json("cli/verify", "verify", sample, *options)
    assert (code, document["identity"]) == (0, identity)
    assert document["signature"] == {"file": "other.sig", "public_key": fingerprint}
    assert "signature" not in run_json("cli/verify", "verify", sample)[1]


def test_verify_says_no(run: Run, run_json: Run, sample: str, fingerprint: str) -> None:
    """No signature, one of something else, and a changed byte below a good one give 1, and one line with a code."""
    assert run("convert", sample, "folder").code == 0
    for number, code in enumerate(["signature-missing", "signature-form", "digest-mismatch"]):
        if number == 1:
            Path("folder.sig").write_bytes(b"{}")
        if number == 2:
            assert run("sign", sample, "--key", "key.pem", "--signature", "good.sig").code == 0
            Path("folder.sig").write_bytes(Path("good.sig").read_bytes())
            data = Path("folder/weights.safetensors").read_bytes()
            Path("folder/weights.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        answer = run("verify", "folder", "--public-key", "key.pub")
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
        assert f"[{code}" in answer.err
        exit_code, document = run_json("error", "verify", "folder", "--public-key", "key.pub")
        assert (exit_code, document["code"]) == (1, code)


def test_wrong_usage(run: Run, sample: str, keras_file: str, fingerprint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or wrong key, another format, and a missing extra give 2, and nothing is written."""
    cases = {
        ("sign", sample): "command-usage",
        ("sign", sample, "--key", "key.pub"): "signing-key",
        ("sign", sample, "--key", "locked.pem"): "signing-password",
        ("sign", sample, "--key", "key.pem", "--signature", sample): "signature-place",
        ("sign", keras_file, "--key", "key.pem"): "format-unknown",
        ("verify", sample, "--signature", "any.sig"): "command-usage",
        ("verify", sample, "--public-key", "key.pem"): "signing-key",
    }
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    for arguments, code in cases.items():
        answer = run(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert f"[{code}]" in answer.err
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for arguments in (("sign", sample, "--key", "key.pem"), ("verify", sample, "--public-key", "key.pub")):
        answer = run(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert 'pip install "etui[sign]"' in answer.err
    assert not Path("sample.etui.sig").exists()


def test_a_password_comes_from_a_file_or_a_terminal(
    run: Run, sample: str, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is the first line of a file; without one a terminal is asked, if the key has a password."""
    Path("password").write_text("a password\n")
    Path("other").write_text("another\n")
    assert run("sign", sample, "--key", "locked.pem", "--password-file", "password").code == 0
    assert "signing-password" in run("sign", sample, "--key", "locked.pem", "--password-file", "other").err
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "a password"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("etui.cli.sign.getpass", answer)
    assert run("sign", sample, "--key", "key.pem").code == 0
    assert asked == []
    assert run("sign", sample, "--key", "locked.pem").code == 0
    assert len(asked) == 1
    assert run("verify", sample, "--public-key", "key.pub").code == 0
