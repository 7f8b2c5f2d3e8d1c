"""Vectors of digests, parts, the manifest, and attached files (SPEC.md chapters 6, 7, 10 and 17)."""

from __future__ import annotations

from typing import Any

from vectors_contents import config, f32, joined, layer, native, optimizer, part, state, training, weights
from vectors_kit import FULL, Area, Entry
from vectors_parts import (
    CONFIG,
    DATA,
    MANIFEST,
    OPTIMIZER,
    STATE,
    TRAINING,
    WEIGHTS,
    Edit,
    add,
    added,
    byte,
    drop,
    insert,
    put,
    removed,
    renamed,
    swap,
    whole,
)

ASSET = "assets/words.txt"
PROGRAM = "programs/run/main.onnx"
NATIVE = "native/example/config.json"
STALE = "native/example/old.json"
_ZEROS = "sha256:" + "0" * 64
_PARTS = ("weights", "config", "training", "parts")
_SHARDS = ("weights-00001-of-00002.safetensors", "weights-00002-of-00002.safetensors")


def areas() -> list[Area]:
    """The vectors of four chapters."""
    return [digests(), parts(), manifest(), attachments()]


def attached() -> dict[str, Any]:
    """A model with an asset, a program, and a native document that is fresh and one that is stale."""
    model = layer("model", attrs={"words": {"$asset": ASSET}}, params={"kernel": "k"})
    bare = joined(config(model), weights({"k": f32([2], 1, 2)}), training(loss="mse"))
    bare["parts"] = {ASSET: part("asset", b"[UNK]\nthe\n", "text/plain")}
    document = b'{"class_name": "Model"}\n'
    bare["parts"] |= {
        NATIVE: native(bare, document, CONFIG, TRAINING),
        STALE: part(
            "native", b"{}", "application/json", framework="example", framework_version=None, bindings={CONFIG: _ZEROS}
        ),
        PROGRAM: part("program", bytes(range(64))),
    }
    return bare


def digests() -> Area:
    """Chapter 6."""
    found = Area("digests", *_PARTS)
    base = found.valid("digests of every kind", "H-1 H-2 H-5 H-6 H-7 H-8", attached())
    chunk = ("variables", "k", "chunks", 0, "digest")
    entry = ("parts", ASSET, "digest")
    form, mismatch, unknown = "digest-form", "digest-mismatch", "digest-algorithm"
    rows: list[tuple[str, str, str, Edit]] = [
        ("a digest in capitals", "H-1", form, put("sha256:" + "A" * 64, *entry)),
        ("a digest that is too short", "H-1", form, put("sha256:00", *entry)),
        ("a digest that is too long", "H-1", form, put(_ZEROS + "0", *entry)),
        ("a digest without its algorithm", "H-1", form, put("0" * 64, *entry)),
        ("a digest without digits", "H-1", form, put("sha256:", *entry)),
        ("a digest with an algorithm in capitals", "H-1 H-3", form, put("SHA256:" + "0" * 64, *entry)),
        ("a digest in base64", "H-1", form, put("sha256:" + "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", *entry)),
        ("a digest that is a number", "H-1", form, put(0, *entry)),
        ("a header's digest that is too short", "H-1", form, put("sha256:00", "parts", DATA, "header", "digest")),
        ("a binding's digest that is too short", "H-1", form, put("sha256:00", "parts", NATIVE, "bindings", CONFIG)),
        ("an unknown algorithm", "H-3", unknown, put("md5:" + "0" * 32, *entry)),
        ("an unknown algorithm of a document", "H-3", unknown, put("blake3:" + "0" * 64, "parts", CONFIG, "digest")),
        (
            "an unknown algorithm of a header",
            "H-3",
            unknown,
            put("sha512:" + "0" * 128, "parts", DATA, "header", "digest"),
        ),
        ("a header of another digest", "H-5 M-3", mismatch, put(_ZEROS, "parts", DATA, "header", "digest")),
    ]
    found.faults(base, MANIFEST, rows)
    for name in (CONFIG, WEIGHTS, TRAINING):
        other = put(_ZEROS, "parts", name, "digest")
        found.fault(
            base, MANIFEST, (f"another digest of {name}", "H-5", mismatch, other), needs=[name.partition(".")[0]]
        )
    for name in (ASSET, PROGRAM, NATIVE):
        found.fault(
            base,
            MANIFEST,
            (f"another digest of {name}", "H-7", mismatch, put(_ZEROS, "parts", name, "digest")),
            ops=FULL,
        )
    index: list[tuple[str, str, str, Edit]] = [
        ("a tensor's digest that is too short", "H-1", form, put("sha256:00", *chunk)),
        ("a tensor's digest that is a number", "H-1", form, put(0, *chunk)),
        ("an unknown algorithm of a tensor", "H-3", unknown, put("blake3:" + "0" * 64, *chunk)),
        ("another digest of a tensor", "H-6 W-12", mismatch, put(_ZEROS, *chunk)),
    ]
    found.faults(base, WEIGHTS, index)
    changed = whole(lambda data: data.replace(b'"mse"', b'"mae"'), TRAINING)
    found.fault(base, TRAINING, ("a document that was changed", "H-5", mismatch, changed), reseal=False)
    found.fault(base, DATA, ("a tensor with one bit changed", "H-6", mismatch, byte("k", 0, 1)), reseal=False)
    return found


def parts() -> Area:
    """Chapter 7."""
    found = Area("parts", "parts")
    names = [
        "assets/words%20of%20one.txt",
        "assets/A+b_c-d=e.1",
        "assets/console",
        "assets/com",
        "assets/a/b/c",
        "assets/a.b",
    ]
    names += [
        "assets/%2Ehidden",
        "assets/" + "n" * 248,
        "assets/Words.txt",
        "programs/a/b/c",
        "native/example/x/y.json",
    ]
    held = {name: part("asset", name.encode()) for name in names if name.startswith("assets")}
    held["programs/a/b/c"] = part("program", b"c")
    held["native/example/x/y.json"] = part(
        "native", b"{}", "application/json", framework="example", framework_version="1", bindings={}
    )
    found.valid("names of every form", "P-1 P-2 P-3 P-6 L-1", joined(weights({}), parts=held))
    base = found.valid(
        "an asset", "P-1 P-4 A-1", joined(weights({}), parts={ASSET: part("asset", b"a\n", "text/plain")})
    )
    name, role = "part-name", "part-role"
    rows = [
        ("a space in a name", "P-1", name, "assets/a b"),
        ("a letter beyond ASCII", "P-1", f"{name}|zip-members", "assets/é"),
        ("a backslash", "P-1", name, "assets\\a"),
        ("an empty segment", "P-1", name, "assets//a"),
        ("a slash at the end", "P-1", name, "assets/a/"),
        ("a slash in front", "P-1", name, "/assets/a"),
        ("a colon", "P-1", name, "assets/c:a"),
        ("a zero byte", "P-1", name, "assets/a\0"),
        ("a newline at the end", "P-1", name, "assets/a\n"),
        ("a part above the folder", "P-2", name, "assets/../a"),
        ("a part at the folder above", "P-2", name, "../a"),
        ("a segment of one point", "P-2", name, "assets/./a"),
        ("a point in front", "P-2", name, "assets/.a"),
        ("a point at the end", "P-2", name, "assets/a."),
        ("a device", "P-2", name, "assets/NUL"),
        ("a device in small letters with an extension", "P-2", name, "assets/aux.txt"),
        ("a device with two extensions", "P-2", name, "assets/Com1.tar.gz"),
        ("a device with the number 0", "P-2", name, "assets/LPT0"),
        ("a device as a folder", "P-2", name, "assets/con/a"),
        ("a part outside of the table", "P-4", role, "words.txt"),
        ("an asset in another folder", "P-4", role, "files/words.txt"),
        ("an asset among the programs", "P-4 G-1", role, "programs/run/words.txt"),
        ("a folder for assets in capitals", "P-4", role, "Assets/words.txt"),
        ("a name of 256 bytes", "L-2", "limit-path", "assets/" + "a" * 249),
    ]
    for title, clauses, code, new in rows:
        found.change(base, title, clauses, code, renamed({ASSET: new}))
    collision = "part-collision"
    found.change(base, "names that differ by capitals", "P-3", collision, added("assets/WORDS.txt", b"b"))
    found.change(base, "a name that continues another", "P-3", collision, added(ASSET + "/a", b"b"))
    found.fault(
        base,
        MANIFEST,
        ("an asset with the role of a program", "P-4", f"{role}|requires-list", put("program", "parts", ASSET, "role")),
    )
    found.fault(
        base,
        MANIFEST,
        ("an asset with an unknown role", "P-4 M-1", f"{role}|manifest-form", put("file", "parts", ASSET, "role")),
    )
    found.fault(
        base,
        MANIFEST,
        ("a document of another media type", "P-4", role, put("application/json", "parts", WEIGHTS, "media_type")),
    )
    found.fault(
        base, MANIFEST, ("a document with the role of another", "P-4", role, put("config", "parts", WEIGHTS, "role"))
    )
    _shards(found)
    return found


def _shards(found: Area) -> None:
    cut = found.valid("two shards", "P-5 W-24", weights({"a": f32([4], 1, 2, 3, 4), "b": f32([1], 5)}), shard_size=16)
    first, second = _SHARDS
    rows = [
        ("a shard too few", {first: first.replace("2.", "3."), second: second.replace("2.", "3.")}),
        ("shards counted from 0", {first: first.replace("00001", "00000"), second: second.replace("00002-", "00001-")}),
        (
            "shards of four digits",
            {first: "weights-0001-of-0002.safetensors", second: "weights-0002-of-0002.safetensors"},
        ),
        ("shards with different totals", {second: "weights-00002-of-00003.safetensors"}),
        ("a shard beyond the total", {second: "weights-00003-of-00002.safetensors"}),
        (
            "shards of another name",
            {first: "params-00001-of-00002.safetensors", second: "params-00002-of-00002.safetensors"},
        ),
        ("a shard in a folder", {second: "shards/weights-00002-of-00002.safetensors"}),
    ]
    for title, names in rows:
        found.change(cut, title, "P-5 P-4", "part-role", renamed(names), needs=["weights"])
    media = put("application/octet-stream", "parts", first, "media_type")
    found.fault(cut, MANIFEST, ("a data part of another media type", "P-4", "part-role", media))


def manifest() -> Area:
    """Chapter 10 and the profiles of chapter 18.1."""
    found = Area("manifest")
    content = attached() | {"metadata": {"author": "an example", "ratio": {"$float": "1"}}}
    base = found.valid("a manifest with everything", "M-1 M-2 M-3 M-4 M-6 M-7", content)
    form, header = "manifest-form", ("parts", DATA, "header")
    rows: list[tuple[str, str, str, Edit]] = [
        ("another format", "M-1", form, put("etui-manifest", "format")),
        ("no format", "M-1", form, drop("format")),
        ("no parts", "M-1", form, drop("parts")),
        ("parts in a list", "M-1", form, put([], "parts")),
        ("no list of features", "M-1 M-4", f"{form}|requires-list", drop("requires")),
        ("no profile", "M-1 M-6", f"{form}|profile-parts", drop("profile")),
        ("empty metadata", "M-1 Q-10", form, put({}, "metadata")),
        ("metadata that is a tagged map", "M-1", form, put({"$map": [[1, 2]]}, "metadata")),
        ("an unknown field", "M-1 Q-7", form, put(1, "comment")),
        ("an unknown field of a part", "M-1 Q-7", form, put(1, "parts", ASSET, "comment")),
        ("a part that is a text", "M-1", form, put("text", "parts", ASSET)),
        ("a part without a size", "M-2", form, drop("parts", ASSET, "size")),
        ("a part without a media type", "M-2", form, drop("parts", ASSET, "media_type")),
        ("a part without a role", "M-2", f"{form}|part-role", drop("parts", ASSET, "role")),
        ("an empty media type", "M-2 P-4", f"{form}|part-role", put("", "parts", ASSET, "media_type")),
        ("a negative size", "M-2", form, put(-1, "parts", ASSET, "size")),
        ("a size that is a text", "M-2", form, put("2", "parts", ASSET, "size")),
        ("a document without a digest", "M-3", form, drop("parts", CONFIG, "digest")),
        ("a document with a header", "M-3", form, put({"digest": _ZEROS, "size": 8}, "parts", CONFIG, "header")),
        ("a data part with a digest", "M-3", form, put(_ZEROS, "parts", DATA, "digest")),
        ("a data part without a header", "M-3", form, drop(*header)),
        ("a header without a size", "M-3", form, drop(*header, "size")),
        ("a header without a digest", "M-3", form, drop(*header, "digest")),
        ("a header with another field", "Q-9", form, put(1, *header, "x-note")),
        ("a feature that is not listed", "M-4", "requires-list", drop("requires", 0)),
        ("a feature that is not used", "M-4", "requires-list", insert("chunks", "requires")),
        ("a feature twice", "M-4", "requires-list", insert("programs", "requires")),
        ("an unknown feature", "M-5 Q-3", "feature-unknown", add("sparse", "requires")),
        ("a feature in capitals", "M-5 Q-3", "feature-unknown", insert("Chunks", "requires")),
        ("the profile of a checkpoint", "M-6 Q-1", "profile-parts", put("checkpoint", "profile")),
        ("the profile of weights alone", "M-6 Q-1", "profile-parts", put("weights", "profile")),
        ("an unknown profile", "M-6 M-1", f"profile-parts|{form}", put("full", "profile")),
    ]
    found.faults(base, MANIFEST, rows)
    for name, needs in ((ASSET, "parts"), (CONFIG, "config"), (WEIGHTS, "weights"), (DATA, "weights")):
        larger = f"a size of {name} that is too large", "F-4", "part-size", _larger(name)
        found.fault(base, MANIFEST, larger, needs=[needs])
    opaque = {"kind": "opaque", "name": "model", "op": "custom:mine>Model"}
    two = joined(config(opaque), weights({}), parts={PROGRAM: part("program", b"p")})
    features = found.valid("two features", "M-4 Q-2", two, subject=["config", "weights"])
    found.fault(features, MANIFEST, ("features that are not sorted", "M-4", "requires-list", swap("requires")))
    _profiles(found)
    return found


def _larger(name: str) -> Edit:
    """A part is said to have a byte more than it has."""

    def edit(tree: dict[str, Any]) -> None:
        tree["parts"][name]["size"] += 1

    return edit


def _profiles(found: Area) -> None:
    """Every row of the table of profiles, and what is no row of it."""
    plain = {"config": config(layer("model")), "weights": weights({"k": f32([1], 1)}), "training": training(loss="mse")}
    sgd = {"optimizer": {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 0, "step": 0}}
    plain |= {"optimizer": optimizer({}, sgd), "state": state(counters={"epoch": 1})}
    entries: dict[str, Entry] = {}
    rows = [
        "config",
        "config training",
        "weights",
        "config weights",
        "config weights training state",
        "config weights optimizer",
    ]
    rows += [
        "config weights training optimizer state",
        "weights optimizer",
        "weights state",
        "weights training optimizer state",
    ]
    for row in rows:
        names = row.split()
        content = joined(*(plain[name] for name in names))
        title = f"the profile {content['profile']}: {', '.join(names)}"
        entries[row] = found.valid(title, "Q-1 M-6", content, subject=names)
    code, full = "profile-parts", entries["config weights training optimizer state"]
    cases = [
        ("an optimizer without weights", full, removed(WEIGHTS, DATA)),
        ("training of nothing", entries["config training"], removed(CONFIG)),
        ("state of nothing", entries["weights state"], removed(WEIGHTS, DATA)),
        (
            "training of weights alone",
            entries["weights training optimizer state"],
            removed(OPTIMIZER, STATE, profile="weights"),
        ),
        ("no document", entries["config"], removed(CONFIG)),
        ("a training without its optimizer", entries["config weights optimizer"], removed(OPTIMIZER)),
        ("a model without its config", entries["config weights"], removed(CONFIG)),
        ("state of a config alone", full, removed(WEIGHTS, DATA, OPTIMIZER, TRAINING, profile="config")),
    ]
    for title, sibling, change in cases:
        found.change(sibling, title, "Q-1 M-6", code, change)


def attachments() -> Area:
    """Chapter 17."""
    found = Area("attachments", *_PARTS)
    base = found.valid(
        "an asset, a program, and native documents fresh and stale", "A-1 G-1 N-1 N-2 N-3 G-3", attached()
    )
    unbound = part(
        "native", b"\x00\xff", "application/octet-stream", framework="other", framework_version=None, bindings={}
    )
    found.valid(
        "a native document without bindings", "N-5 N-1", joined(weights({}), parts={"native/other/raw.bin": unbound})
    )
    two = {
        name: part("program", name.encode()) for name in ("programs/a/main", "programs/a/data/1", "programs/b/main.bin")
    }
    found.valid("programs of several parts", "G-1 G-2", joined(weights({}), parts=two))
    form, role = "manifest-form", "part-role"
    rows: list[tuple[str, str, str, Edit]] = [
        ("a native document without the field of bindings", "N-2 M-3", form, drop("parts", NATIVE, "bindings")),
        ("bindings that are a list", "N-2", form, put([], "parts", NATIVE, "bindings")),
        ("a native document bound to data", "N-2", form, put({DATA: _ZEROS}, "parts", NATIVE, "bindings")),
        ("a native document without a framework", "N-1 N-2", form, drop("parts", NATIVE, "framework")),
        (
            "a native document of another framework than its folder",
            "N-1",
            form,
            put("other", "parts", NATIVE, "framework"),
        ),
        (
            "a native document without the field of a version",
            "N-1 N-2",
            form,
            drop("parts", NATIVE, "framework_version"),
        ),
        ("a framework's version that is a number", "N-1 N-2", form, put(2.5, "parts", NATIVE, "framework_version")),
        (
            "an unknown algorithm of a binding",
            "H-3 N-2",
            "digest-algorithm",
            put("md5:00", "parts", NATIVE, "bindings", CONFIG),
        ),
        ("an asset with bindings", "Q-7", form, put({}, "parts", ASSET, "bindings")),
    ]
    found.faults(base, MANIFEST, rows)
    found.change(base, "a program without a folder of its own", "G-1", role, renamed({PROGRAM: "programs/main.onnx"}))
    found.change(
        base, "a native document without a folder of its own", "N-1 P-4", role, renamed({NATIVE: "native/config.json"})
    )
    other = attached()
    says = b'{"class_name": "Other", "weights": [9, 9]}'
    other["parts"] = {ASSET: other["parts"][ASSET]}
    other["parts"][NATIVE] = native(other, says, CONFIG, TRAINING)
    found.valid("a native document that says something else", "N-4 N-1", other)
    return found
