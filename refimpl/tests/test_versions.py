"""Newer versions and unknown fields."""

from __future__ import annotations

from typing import Any

import pytest

import etui
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Parts, edited, parts_of, put, refused_with, tampered
from etui.testing.samples import CURRENT, everything

BASE = parts_of(everything())


@pytest.mark.clause("Q-6@921489", "Q-8@c68b8b")
def test_fields_of_a_newer_minor_version_are_kept_on_rewriting() -> None:
    """Of version 1.7, unknown fields anywhere but in chunks and headers are ignored, and written again as they were."""
    parts = newer("1.7", "future")
    with etui.open(parts) as opened:
        assert opened.version == "1.7"
        assert parts_of(opened) == parts


@pytest.mark.clause("Q-7@8e4f71", "Q-8@c68b8b")
def test_extension_fields_are_kept_on_rewriting_and_change_nothing() -> None:
    """Fields that begin with `x-` are allowed in version 1.0, kept, and the model is the same without them."""
    parts = newer("1.0", "x-note")
    assert parts != BASE
    with etui.open(parts) as opened, etui.open(BASE) as plain:
        assert parts_of(opened) == parts
        assert opened.config is not None
        assert plain.config is not None
        assert [path for path, _ in opened.config.walk()] == [path for path, _ in plain.config.walk()]
        assert opened.native_document(CURRENT) is None  # for it was bound to the document without the field
    assert refused_with(lambda: etui.open(newer("1.0", "future"))) == "manifest-form"


@pytest.mark.clause("Q-6@921489", "Q-5@d16d82")
def test_numbers_of_a_version_may_have_any_length() -> None:
    """However many digits they have, a minor version is accepted and a major version is not."""
    digits = "9" * 5000
    parts = newer(f"1.{digits}", "future")
    with etui.open(parts) as opened:
        assert parts_of(opened) == parts
    assert etui.verify(parts).artifact_version == f"1.{digits}"
    assert refused_with(lambda: etui.open(newer(f"{digits}.0", "future"))) == "version-unsupported"


def newer(version: str, field: str) -> Parts:
    """The artifact in another version, with one more field in every map of every document that may have some."""
    value = {"a": [1, None, {"$b": 0.5}]}
    places: dict[str, list[tuple[Any, ...]]] = {
        "config.json": [
            (),
            ("model",),
            ("model", "graph"),
            ("model", "graph", "calls", 1),
            ("model", "modules", 2),
            ("model", "modules", 3, "modules", 0),
        ],
        "weights.json": [
            (),
            ("variables", "dense/kernel"),
            ("variables", "own/quantized"),
            ("variables", "own/quantized", "components", "scale"),
        ],
        "training.json": [()],
        "optimizer.msgpack": [
            (),
            ("optimizers", "optimizer"),
            ("optimizers", "optimizer", "inner", "groups", 0),
            ("tensors", "optimizer/inner/shared_slots/product"),
        ],
        "state.msgpack": [(), ("rng", "dropout/seed"), ("tensors", "user/history")],
        MANIFEST: [(), *(("parts", name) for name in BASE if name != MANIFEST)],
    }
    parts: Parts = BASE
    for name, paths in places.items():
        for path in paths:
            parts = edited(parts, name, put(value, *path, field))
        parts = tampered(parts, name, put(version, "version"))
    return parts


@pytest.mark.clause("Q-6@921489", "M-5@c9a52b")
def test_a_newer_minor_version_that_requires_something_unknown_is_refused() -> None:
    """Version 1.7 with a feature that this reader lacks is refused, not read in part."""
    parts = edited(newer("1.7", "future"), MANIFEST, lambda tree: tree["requires"].append("sparse"))
    assert refused_with(lambda: etui.open(parts)) == "feature-unknown"
