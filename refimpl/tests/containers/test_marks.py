"""Documents that are encoded before the digests of their tensors are known."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.canonical import json, msgpack
from etui.containers.documents import DOCUMENTS, Document
from etui.containers.marks import mark, replaced
from etui.storage.safetensors import read_header
from etui.storage.sources import BytesSource
from etui.testing.samples import everything

pytestmark = pytest.mark.library


@pytest.mark.parametrize("codec", [json, msgpack])
def test_digests_take_the_places_of_marks(codec: Any) -> None:
    """Bytes that were encoded with marks become those of the tree with digests, in either kind of document."""
    digests = [digest.of(bytes([number])) for number in range(20)]
    other = digest.of(b"no mark")
    cut = mark(3)[:-1]  # it is none
    trees: list[dict[str, Any]] = [
        {"a": [[number, name(number)] for number in range(20)], "b": other, "c": cut}
        for name in (mark, digests.__getitem__)
    ]
    assert replaced(codec.encode(trees[0]), digests.__getitem__) == codec.encode(trees[1])
    assert replaced(codec.encode({"b": other}), digests.__getitem__) == codec.encode({"b": other})


@pytest.mark.parametrize("shard_size", [None, 64])
def test_a_save_encodes_each_document_once(monkeypatch: pytest.MonkeyPatch, shard_size: int | None) -> None:
    """The bytes that were checked before the data was written are those that are written, with the digests in them."""
    encoded: Counter[str] = Counter()
    own = Document.encode

    def encode(document: Document, container: Any, placed: Any, version: str) -> bytes:
        encoded[document.name] += 1
        return own(document, container, placed, version)

    model = everything()
    model.native.clear()  # whose freshness is a question of its own
    monkeypatch.setattr(Document, "encode", encode)
    parts: dict[str, bytes] = {}
    etui.save(model, parts, shard_size=shard_size)
    assert encoded == dict.fromkeys(DOCUMENTS, 1)
    assert etui.verify(parts).tensors > 0
    again: dict[str, bytes] = {}
    with etui.open(parts) as opened:
        etui.save(opened, again, shard_size=shard_size)
    assert again == parts


def test_each_digest_is_that_of_its_own_tensor() -> None:
    """Variables whose order is not that of their names get the digests of their own bytes."""
    weights = etui.Weights()
    for number in range(300):
        weights.add(f"v{number * 7 % 300}", etui.Tensor.of(np.full(3, number, "int16")), role="kernel")
    parts: dict[str, bytes] = {}
    etui.save(etui.Model(weights=weights), parts)
    data = parts["weights.safetensors"]
    header = read_header(BytesSource(data), "weights.safetensors")
    entries = json.decode(parts["weights.json"], where="weights.json")["variables"]
    assert len(entries) == 300
    for name, entry in entries.items():
        span = header.entries[name]
        held = data[header.size + span.begin : header.size + span.end]
        assert held == weights[name].numpy().tobytes()
        assert entry["chunks"][0]["digest"] == digest.of(held)
