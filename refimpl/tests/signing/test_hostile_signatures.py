"""Hostile signatures: garbage, bombs, wrong types anywhere, and other statements that the right key signed."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import digest, signing
from etui.containers import signature

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("signing_kit")

WRONG: tuple[Any, ...] = (None, True, "", "a", "\x00", [], {}, ["a"], {"a": "a"}, [{}], [[]], [None, None])


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every node of a tree but the root."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from places(child, (*path, name))


def replaced(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a tree with another node at a path; without the node for `...`."""
    copy = deepcopy(tree)
    parent = copy
    for step in path[:-1]:
        parent = parent[step]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copy


@pytest.mark.clause("H-9@3ec095")
def test_a_bundle_with_any_node_wrong_is_refused(packed: Path, signed: Path, key: Any) -> None:
    """Whatever stands in for a node of the bundle, or none, the signature is refused with a code of its own."""
    bundle = json.loads(signed.read_bytes())
    free: dict[tuple[str | int, ...], tuple[Any, ...]] = {
        ("verificationMaterial", "tlogEntries"): (..., []),
        ("dsseEnvelope", "signatures", 0, "keyid"): (..., "", "a", "\x00"),
    }
    count = 0
    for path in places(bundle):
        for value in (*WRONG, ...):
            target = kit.write(packed.with_name("wrong.sig"), replaced(bundle, path, value))
            code = kit.refusal(signing.verify, packed, target, key.public)
            expected = None if value in free.get(path, ()) else "signature-form"
            if path[-1] == "sig" and value == "":
                expected = "signature-invalid"  # no bytes are base64, and no signature
            assert (path, value, code) == (path, value, expected)
            count += 1
    assert count > 150


@pytest.mark.clause("H-9@3ec095")
def test_a_bundle_with_any_node_too_many_is_refused(packed: Path, signed: Path, key: Any) -> None:
    """A further member of any object of the bundle, and a further item of its list, is refused."""
    bundle = json.loads(signed.read_bytes())
    count = 0
    for path in [(), *places(bundle)]:
        node = bundle
        for step in path:
            node = node[step]
        if isinstance(node, dict | list):
            more = {**node, "a": "a"} if isinstance(node, dict) else [*node, *(node or [{}])]
            target = kit.write(packed.with_name("wrong.sig"), replaced(bundle, path, more) if path else more)
            assert (path, kit.refusal(signing.verify, packed, target, key.public)) == (path, "signature-form")
            count += 1
    assert count == 7


@pytest.mark.clause("H-9@3ec095")
def test_a_statement_with_any_node_wrong_is_refused(packed: Path, tmp_path: Path, key: Any) -> None:
    """A statement of another form is refused even if the right key signed it."""
    good = kit.statement(etui.verify(packed).identity)
    count = 0
    for path in places(good):
        for value in (*WRONG, ...):
            bundle = key.bundle(json.dumps(replaced(good, path, value)).encode())
            target = kit.write(tmp_path / "wrong.sig", bundle)
            code = kit.refusal(signing.verify, packed, target, key.public)
            named = path == ("subject", 0, "name") and isinstance(value, str)
            linked = path[-1] == "allow_symlinks" and value is True
            assert (path, value, code) == (path, value, None if named or linked else "signature-form")
            count += 1
    assert count > 150


@pytest.mark.clause("H-9@3ec095")
def test_what_more_a_statement_can_say_does_not_help(packed: Path, tmp_path: Path, key: Any) -> None:
    """Nothing is signed that the statement ignores, lists beside others, names otherwise or writes otherwise."""
    good = kit.statement(etui.verify(packed).identity)
    right = kit.write(tmp_path / "right.sig", key.bundle(json.dumps(good).encode()))
    assert kit.refusal(signing.verify, packed, right, key.public) is None
    (resource,) = good["predicate"]["resources"]
    other = {"name": "other", "algorithm": "sha256", "digest": "0" * 64}
    none, two = (
        digest.of(b"".join(bytes.fromhex(item["digest"]) for item in items)).removeprefix("sha256:")
        for items in ([], [resource, other])
    )
    cases: list[dict[tuple[str | int, ...], Any]] = [
        {("predicate", "serialization", "ignore_paths"): ["manifest.json"]},
        {("predicate", "serialization", "ignore_paths"): [0]},
        {("predicate", "serialization", "ignore_paths"): ["a\0b"]},
        {("predicate", "serialization", "ignore_paths"): "manifest.json"},
        {
            ("predicate", "serialization", "ignore_paths"): ["manifest.json"],
            ("predicate", "resources"): [],
            ("subject", 0, "digest", "sha256"): none,
        },
        {("predicate", "resources"): [resource, resource]},
        {("predicate", "resources"): [resource, other], ("subject", 0, "digest", "sha256"): two},
        {("subject",): [*good["subject"], *good["subject"]]},
        {("predicate", "resources", 0, "name"): "../manifest.json"},
        {("predicate", "resources", 0, "name"): "./manifest.json"},
        {("predicate", "resources", 0, "algorithm"): "blake3"},
        {("predicate", "resources", 0, "digest"): resource["digest"].upper()},
        {("predicate", "resources", 0, "digest"): f" {resource['digest']}"},
        {("predicate", "serialization", "method"): "shards"},
        {("predicateType",): "https://model_signing/Digests/v0.1"},
    ]
    for changes in cases:
        wrong = good
        for path, value in changes.items():
            wrong = replaced(wrong, path, value)
        target = kit.write(tmp_path / "wrong.sig", key.bundle(json.dumps(wrong).encode()))
        assert (changes, kit.refusal(signing.verify, packed, target, key.public)) == (changes, "signature-form")


def twice(bundle: dict[str, Any], name: str) -> bytes:
    """The bundle with a second member of a name, which is an empty object, in front of the right one."""
    return json.dumps(bundle).replace(f'"{name}":', f'"{name}": {{}}, "{name}":', 1).encode()


HOSTILE: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda _: bytes(range(256)),
    "not an object": lambda _: b"[]",
    "a text": lambda _: b'"a"',
    "cut short": lambda bundle: json.dumps(bundle).encode()[:-1],
    "with an end": lambda bundle: json.dumps(bundle).encode() + b"{}",
    "with a mark in front": lambda bundle: b"\xef\xbb\xbf" + json.dumps(bundle).encode(),
    "in UTF-16": lambda bundle: json.dumps(bundle).encode("utf-16"),
    "nested lists": lambda _: b"[" * 60_000,
    "nested objects": lambda _: b'{"a":' * 13_000,
    "nested within": lambda bundle: json.dumps({**bundle, "a": 0}).replace('"a": 0', '"a": ' + "[" * 30_000).encode(),
    "a number of 60,000 digits": lambda _: b'{"a":' + b"9" * 60_000 + b"}",
    "a float": lambda bundle: json.dumps({**bundle, "a": 1e300}).encode(),
    "NaN": lambda bundle: json.dumps({**bundle, "a": float("nan")}).encode(),
    "a lone surrogate": lambda bundle: json.dumps({**bundle, "mediaType": "\ud800"}).encode(),
    "a media type twice": lambda bundle: twice(bundle, "mediaType"),
    "an envelope twice": lambda bundle: twice(bundle, "dsseEnvelope"),
    "a payload twice": lambda bundle: twice(bundle, "payload"),
    "the names of another dialect": lambda bundle: json.dumps(
        {**bundle, "dsse_envelope": bundle["dsseEnvelope"]}
    ).encode(),
    "certificates": lambda bundle: json.dumps(
        {**bundle, "verificationMaterial": {"x509CertificateChain": {"certificates": [{"rawBytes": "AA=="}]}}}
    ).encode(),
    "one byte too long": lambda bundle: json.dumps(bundle).encode().ljust(65_537),
}


@pytest.mark.clause("H-9@3ec095")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_signature_is_refused(tmp_path: Path, packed: Path, signed: Path, key: Any, name: str) -> None:
    """A file that is no signature, or two at once, or too deep or too long, is refused with its code."""
    hostile = kit.write(tmp_path / "hostile", HOSTILE[name](json.loads(signed.read_bytes())))
    with pytest.raises(etui.MalformedError, match=r"signature-form, SPEC\.md H-9") as caught:
        signing.verify(packed, hostile, key.public)
    assert len(str(caught.value)) < 1000


@pytest.mark.clause("H-9@3ec095")
def test_a_hostile_payload_is_refused(tmp_path: Path, packed: Path, key: Any) -> None:
    """A payload that is no statement, or two at once, or too deep, is refused though the key confirms it."""
    good = json.dumps(kit.statement(etui.verify(packed).identity))
    doubled = good.replace('"resources":', '"resources": [], "resources":', 1)
    constant = good.replace('"subject":', '"note": NaN, "subject":', 1)
    payloads = [
        b"",
        b"\xff",
        b"[]",
        b"[" * 40_000,
        b"9" * 40_000,
        good.encode()[:-1],
        doubled.encode(),
        constant.encode(),
    ]
    for payload in payloads:
        hostile = kit.write(tmp_path / "hostile", key.bundle(payload))
        assert kit.refusal(signing.verify, packed, hostile, key.public) == "signature-form"
    longest = kit.write(tmp_path / "longest", key.bundle(good.encode().ljust(48_000)))
    assert longest.stat().st_size < 65_536
    assert kit.refusal(signing.verify, packed, longest, key.public) is None


@pytest.mark.clause("H-9@3ec095", "H-10@44508f")
def test_a_flipped_bit_of_a_signature_is_found_or_means_nothing(
    tmp_path: Path, packed: Path, signed: Path, key: Any
) -> None:
    """Whichever byte has a bit flipped, the file is refused, or says to the last bit what it said before."""
    data = signed.read_bytes()
    claim = signature.decode(data, "")
    counts = Counter[str | None]()
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 7
        try:
            same = signature.decode(bytes(flipped), "") == claim
        except etui.EtuiError as refused:
            counts[refused.code] += 1
            continue
        if same:  # a space that became another, or a bit of base64 that holds nothing
            counts[None] += 1
            continue
        code = kit.refusal(signing.verify, packed, kit.write(tmp_path / "flipped", bytes(flipped)), key.public)
        assert code in {"signature-key", "signature-invalid"}
        counts[code] += 1
    assert counts[None] < 10
    assert counts["signature-form"] > 500
    assert counts["signature-key"] > 0
    assert counts["signature-invalid"] > 30


@pytest.mark.clause("H-9@3ec095")
def test_a_huge_signature_takes_no_memory(tmp_path: Path, packed: Path, signed: Path, key: Any) -> None:
    """Of a signature of 64 GiB, no more than the bound is read."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**36)
    signing.verify(packed, signed, key.public)  # imports are not counted
    tracemalloc.start()
    code = kit.refusal(signing.verify, packed, tmp_path / "huge", key.public)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "signature-form"
    assert peak < 2**20


@pytest.mark.library
def test_a_pipe_or_a_device_is_no_signature_and_no_key(tmp_path: Path, packed: Path, signed: Path, key: Any) -> None:
    """A pipe without a writer, a device without an end and a folder are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for strange in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        assert kit.refusal(signing.verify, packed, strange, key.public) == "storage-failed"
        assert kit.refusal(signing.verify, packed, signed, strange) == "storage-failed"
        assert kit.refusal(signing.sign, packed, strange) == "storage-failed"
