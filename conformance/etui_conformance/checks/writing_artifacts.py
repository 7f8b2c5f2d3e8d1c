"""Writers of artifacts: names, shards and headers of data parts, and what the manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from etui_conformance.checks import samples
from etui_conformance.checks.samples import Content, config, part, state, tensor, texts, weights
from etui_conformance.checks.writing_cases import Case, needs, once

_PROFILES = {
    "config": {"config"},
    "weights": {"weights"},
    "model": {"config", "weights"},
    "training": {"config", "weights", "optimizer"},
    "checkpoint": {"weights", "state"},
}


def cases() -> Iterator[Case]:
    """The cases of data parts, and those of whole artifacts."""
    yield from _of_data_parts()
    yield from _of_artifacts()


def _of_data_parts() -> Iterator[Case]:
    yield Case(
        "names",
        ("W-11", "W-23"),
        "Puts all tensors of a document into one data part, under their own names.",
        needs("weights", "optimizer", "state", "dtype:uint8"),
        once(_named),
    )
    yield Case(
        "header",
        ("S-2",),
        "Pads the header of a data part with the fewest spaces, whatever its length.",
        needs("weights", "dtype:uint8"),
        lambda: (weights({"n" * length: samples.FLAG}) for length in range(1, 66)),
        form="packed",
    )
    names = ["b", "a", "é", "\ufb01", "\U0001d11e", "Z", "z"]
    mixed = {f"{name}{width}": (name, width) for name in names for width in (1, 2, 4, 8)}
    tensors = {
        path: tensor(f"uint{8 * width}", [2], bytes([index]) * (2 * width))
        for index, (path, (_, width)) in enumerate(mixed.items())
    }
    yield Case(
        "layout",
        ("S-5", "S-2", "J-7"),
        "Lays tensors out by falling width and then by the UTF-8 bytes of their names, and sorts the header by UTF-16.",
        needs("weights", "dtype:uint8", "dtype:uint16", "dtype:uint32", "dtype:uint64"),
        once(partial(weights, tensors)),
    )
    sizes = {"z": 3, "b": 2, "a": 5, "big": 20, "c": 1, "empty": 0, "d": 4, "y": 6}
    filled = {path: tensor("uint8", [size], bytes([size]) * size) for path, size in sizes.items()}
    for size in (1, 5, 6, 10, 1000):
        yield Case(
            f"shards/{size}",
            ("W-24", "P-5"),
            f"Fills shards of {size} bytes in the order of the variables, and cuts no tensor.",
            needs("weights", "dtype:uint8"),
            once(partial(weights, filled)),
            {"shard_size": size},
        )
    named = {f"user/{path}": one for path, one in filled.items()}
    yield Case(
        "shards/names",
        ("W-24", "P-5"),
        "Fills the shards of a state in the order of the names.",
        needs("weights", "state", "dtype:uint8"),
        once(partial(state, named, user={path: {"$stored": f"user/{path}"} for path in filled})),
        {"shard_size": 6},
    )


def _named() -> Content:
    slots = {
        "optimizer/slots/a/momentum": samples.FLAG,
        "optimizer/shared_slots/%2E": samples.FLAG,
        "optimizer/inner/slots/a/x%2Fy": samples.FLAG,
    }
    inner = {
        "algorithm": "other:Inner",
        "groups": [{"variables": ["a"]}],
        "learning_rate": None,
        "micro_step": 1,
        "slots": {"a": {"x/y": {"$stored": "optimizer/inner/slots/a/x%2Fy"}}},
        "step": 1,
    }
    one = {
        "groups": [{"variables": ["a"]}],
        "inner": inner,
        "shared_slots": {".": {"$stored": "optimizer/shared_slots/%2E"}},
        "slots": {"a": {"momentum": {"$stored": "optimizer/slots/a/momentum"}}},
    }
    stated = state({"user/0/k%40/1": samples.FLAG}, user={"0": {"k@": [None, {"$stored": "user/0/k%40/1"}]}})
    content = samples.optimizer(one, slots)
    content["state"] = stated["state"]
    content["tensors"]["state"] = stated["tensors"]["state"]
    return content


# Artifacts


def _of_artifacts() -> Iterator[Case]:
    whole = needs("config", "weights", "training", "optimizer", "state", "parts", "feature:opaque", "feature:programs")
    dtypes = {f"dtype:{name}" for name in ("float32", "float64", "int64", "uint32")}
    yield Case(
        "everything",
        ("D-5", "M-2", "M-3", "M-7", "H-8", "Q-4", "Q-8", "C-16", "A-1", "N-1"),
        "Writes a content with every document and every role of part as its canonical artifact.",
        whole | dtypes,
        once(samples.everything),
    )
    for profile, roles in _PROFILES.items():
        yield Case(
            f"profiles/{profile}",
            ("M-6", "Q-1", "M-2"),
            f"Writes the profile {profile!r} of an artifact with the documents that it follows from.",
            frozenset({*roles, "dtype:uint8"}),
            once(partial(_profile, roles)),
        )
    yield Case(
        "requires",
        ("M-4",),
        "Lists exactly the features that a content uses, sorted.",
        needs("weights", "config", "parts", "dtype:int4", "dtype:string", "dtype:complex64", "feature:opaque")
        | {f"feature:{name}" for name in ("programs", "encoding.complex", "encoding.packed4", "encoding.string")},
        _features,
    )
    yield Case(
        "assets",
        ("A-1", "M-2", "P-3"),
        "Writes assets byte for byte, empty ones and such in folders included.",
        needs("config", "parts"),
        once(_assets),
    )
    yield Case(
        "natives",
        ("N-1", "N-2"),
        "Writes native documents byte for byte, with the bindings that they are given.",
        needs("config", "parts"),
        _natives,
    )
    yield Case(
        "members",
        ("D-5",),
        "Writes the parts in their order and aligned, whatever the lengths of their names and data.",
        needs("config", "parts"),
        _members,
    )


def _profile(roles: set[str]) -> Content:
    content: Content = {"tensors": {}}
    one = {"groups": [{"variables": ["a"]}]}
    made = {"config": config(), "weights": weights({"a": samples.FLAG}), "optimizer": samples.optimizer(one, {})}
    made["state"] = state(counters={"epoch": 1})
    for role in sorted(roles):
        content[role] = made[role][role]
        if role in made[role].get("tensors", {}):
            content["tensors"][role] = made[role]["tensors"][role]
    return content


def _features() -> Iterator[Content]:
    nibbles = tensor("int4", [1], b"\1")
    encoded = {"s": texts("string", [], [b""]), "i": nibbles, "c": tensor("complex64", [0], b"")}
    for path, one in encoded.items():
        yield weights({path: one})
    yield weights(encoded)
    yield config(kind="opaque")
    yield config(modules=[{"name": "a", "kind": "opaque", "op": "custom:a>B"}])
    program = {"programs/p/main": part("program", b"")}
    yield {**config(), "parts": program}
    yield {**config(kind="opaque"), **weights(encoded), "parts": program}


def _assets() -> Content:
    data = {
        "assets/a": b"",
        "assets/b.bin": bytes(range(256)),
        "assets/c/d/e.txt": b"\xef\xbb\xbfx\r\n",
        "assets/c%2E": b"\0",
    }
    return {**config(), "parts": {name: part("asset", item) for name, item in data.items()}}


def _natives() -> Iterator[Content]:
    some = {"sha256:" + "0" * 64, "sha256:" + "af" * 32}
    for text in sorted(some):
        yield {**config(), "parts": {"native/other/a/b.json": samples.native(b'{"b":1, "a":2}\n', config=text)}}
    yield {**config(), "parts": {"native/other/x": samples.native(b"\0\xff")}}
    yield {
        **config(),
        "parts": {"native/other/x": {**samples.native(b""), "framework_version": None, "bindings": {}}},
    }


def _members() -> Iterator[Content]:
    for length in (0, 1, 63, 64, 65):
        parts = {f"assets/{'n' * more}": part("asset", bytes(length + more % 3)) for more in range(1, 40)}
        parts |= {"programs/p/main": part("program", bytes(length))}
        parts |= {f"native/other/{name}": samples.native(bytes(length)) for name in ("z", "a")}
        yield {**config(), "parts": parts}
