"""Manifests, parts and versions with a fault (SPEC.md chapters 6, 7, 8, 10, 17 and 18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Edit, append, drop, moved, put
from etui.testing.samples import PROGRAM, VOCABULARY

clause = pytest.mark.clause
CONFIG = "config.json"
TRAINING = "training.json"
WEIGHTS = "weights.json"
STATE = "state.msgpack"
DATA = "weights.safetensors"
NATIVE = "native/keras/config.json"
NO_DIGEST = "sha256:" + "0" * 64
KERNEL = ("variables", "dense/kernel")
CHUNK = (*KERNEL, "chunks", 0)
ENTRY = ("parts", VOCABULARY)


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 6 Digests
    "a digest in capitals": (
        clause("H-1@34f64c"),
        "digest-form",
        MANIFEST,
        put("sha256:" + "A" * 64, *ENTRY, "digest"),
    ),
    "a short digest": (clause("H-1@34f64c"), "digest-form", WEIGHTS, put("sha256:00", *CHUNK, "digest")),
    "a digest that is no text": (clause("H-1@34f64c"), "digest-form", WEIGHTS, put(0, *CHUNK, "digest")),
    "a digest without algorithm": (clause("H-1@34f64c"), "digest-form", MANIFEST, put("0" * 64, *ENTRY, "digest")),
    "an unknown algorithm": (
        clause("H-3@effdac"),
        "digest-algorithm",
        MANIFEST,
        put("md5:" + "0" * 32, *ENTRY, "digest"),
    ),
    "an unknown algorithm of a chunk": (
        clause("H-3@effdac"),
        "digest-algorithm",
        WEIGHTS,
        put("blake3:" + "0" * 64, *CHUNK, "digest"),
    ),
    "an unknown algorithm of a binding": (
        clause("H-3@effdac"),
        "digest-algorithm",
        MANIFEST,
        put("md5:00", "parts", NATIVE, "bindings", CONFIG),
    ),
    # 7 Parts
    "a part with a space": (clause("P-1@71c231"), "part-name", MANIFEST, moved(ENTRY, ("parts", "assets/a b"))),
    "a part above the folder": (clause("P-2@0bdadc"), "part-name", MANIFEST, moved(ENTRY, ("parts", "assets/../x"))),
    "a part that is a device": (clause("P-2@0bdadc"), "part-name", MANIFEST, moved(ENTRY, ("parts", "assets/Aux.txt"))),
    "parts equal but for case": (
        clause("P-3@83835b"),
        "part-collision",
        MANIFEST,
        lambda t: t["parts"].update({VOCABULARY.upper().replace("ASSETS", "assets"): t["parts"][VOCABULARY]}),
    ),
    "a part of another role": (clause("P-4@ffa67a"), "part-role", MANIFEST, put("program", *ENTRY, "role")),
    "a part outside of the table": (
        clause("P-4@ffa67a"),
        "part-role",
        MANIFEST,
        moved(ENTRY, ("parts", "vocabulary.txt")),
    ),
    "a document of another media type": (
        clause("P-4@ffa67a"),
        "part-role",
        MANIFEST,
        put("application/json", "parts", CONFIG, "media_type"),
    ),
    "a program without a folder": (
        clause("G-1@b814a3"),
        "part-role",
        MANIFEST,
        moved(("parts", PROGRAM), ("parts", "programs/main.onnx")),
    ),
    "a native document without a folder": (
        clause("N-1@bcd909"),
        "part-role",
        MANIFEST,
        moved(("parts", NATIVE), ("parts", "native/config.json")),
    ),
    "a shard too few": (
        clause("P-5@de13e9"),
        "part-role",
        MANIFEST,
        moved(("parts", DATA), ("parts", "weights-00001-of-00002.safetensors")),
    ),
    # 8 Directory form
    "a listed part that is not there": (
        clause("F-3@bbe75c"),
        "part-missing",
        MANIFEST,
        lambda t: t["parts"].update({"assets/x": t["parts"][VOCABULARY]}),
    ),
    # 10 Manifest
    "a manifest of another format": (clause("M-1@517769"), "manifest-form", MANIFEST, put("etui-manifest", "format")),
    "a manifest without parts": (clause("M-1@517769"), "manifest-form", MANIFEST, drop("parts")),
    "empty metadata": (clause("M-1@517769", "Q-10@7f28a5"), "manifest-form", MANIFEST, put({}, "metadata")),
    "metadata that is a tagged map": (
        clause("M-1@517769"),
        "manifest-form",
        MANIFEST,
        put({"$map": [[1, 2]]}, "metadata"),
    ),
    "an unknown field": (clause("Q-7@8e4f71"), "manifest-form", MANIFEST, put(1, "comment")),
    "a part without a size": (clause("M-2@0a4533"), "manifest-form", MANIFEST, drop(*ENTRY, "size")),
    "a part without a media type": (clause("M-2@0a4533"), "manifest-form", MANIFEST, drop(*ENTRY, "media_type")),
    "an empty media type": (clause("M-1@517769"), "manifest-form", MANIFEST, put("", *ENTRY, "media_type")),
    "a negative size": (clause("M-2@0a4533"), "manifest-form", MANIFEST, put(-1, *ENTRY, "size")),
    "a document without a digest": (clause("M-3@f2a890"), "manifest-form", MANIFEST, drop(*ENTRY, "digest")),
    "a data part with a digest": (
        clause("M-3@f2a890"),
        "manifest-form",
        MANIFEST,
        put(NO_DIGEST, "parts", DATA, "digest"),
    ),
    "a document with a header": (
        clause("M-3@f2a890"),
        "manifest-form",
        MANIFEST,
        put({"size": 8, "digest": NO_DIGEST}, *ENTRY, "header"),
    ),
    "a field more in a header": (
        clause("Q-9@7835ee"),
        "manifest-form",
        MANIFEST,
        put(1, "parts", DATA, "header", "x-a"),
    ),
    "features that are not sorted": (
        clause("M-4@8c62c1"),
        "requires-list",
        MANIFEST,
        lambda t: t["requires"].reverse(),
    ),
    "a feature that is not listed": (clause("M-4@8c62c1"), "requires-list", MANIFEST, drop("requires", 0)),
    "a feature twice": (clause("M-4@8c62c1"), "requires-list", MANIFEST, lambda t: t["requires"].insert(0, "chunks")),
    "an unknown feature": (
        clause("M-5@c9a52b", "Q-3@6caedc"),
        "feature-unknown",
        MANIFEST,
        append("sparse", "requires"),
    ),
    "another profile": (clause("M-6@b7e49c", "Q-1@6c153a"), "profile-parts", MANIFEST, put("checkpoint", "profile")),
    "no document": (clause("Q-1@6c153a"), "profile-parts", MANIFEST, put({}, "parts")),
    "training of nothing": (
        clause("Q-1@6c153a"),
        "profile-parts",
        MANIFEST,
        lambda t: t.update(parts={TRAINING: t["parts"][TRAINING]}),
    ),
    # 17 Native documents
    "a native document without bindings": (
        clause("N-2@ec26e1"),
        "manifest-form",
        MANIFEST,
        drop("parts", NATIVE, "bindings"),
    ),
    "a native document bound to data": (
        clause("N-2@ec26e1"),
        "manifest-form",
        MANIFEST,
        put(NO_DIGEST, "parts", NATIVE, "bindings", DATA),
    ),
    "a native document of another framework": (
        clause("N-1@bcd909"),
        "manifest-form",
        MANIFEST,
        put("torch", "parts", NATIVE, "framework"),
    ),
    # 18 Versions
    "a document of another version": (clause("Q-4@b72342"), "version-form", CONFIG, put("1.1", "version")),
    "a version that is a number": (clause("Q-4@b72342"), "version-form", MANIFEST, put(1, "version")),
    "a version with a zero in front": (clause("Q-4@b72342"), "version-form", MANIFEST, put("1.00", "version")),
    "no version": (clause("Q-4@b72342"), "version-form", WEIGHTS, drop("version")),
    "the next major version": (clause("Q-5@d16d82"), "version-unsupported", MANIFEST, put("2.0", "version")),
    "the next major version of a document": (clause("Q-5@d16d82"), "version-unsupported", STATE, put("2.0", "version")),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
