"""Rewriting: what was opened is written again as it was, whether or not its meaning is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import about_parts, check_written, read_form, same
from etui_conformance.checks.samples import Content, Tree, config, part, weights
from etui_conformance.oracle import json, manifest, reading, safetensors, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.wire import new_path

_ALL = frozenset(
    {"config", "weights", "training", "optimizer", "state", "parts", "feature:opaque", "feature:programs"}
) | {f"dtype:{name}" for name in ("float32", "float64", "int64", "uint32")}
Parts = Mapping[str, bytes]


def checks() -> list[Check]:
    """The checks of rewriting."""
    small = frozenset({"config", "weights", "parts", "dtype:uint8"})
    asks: tuple[tuple[str, tuple[str, ...], str, frozenset[str], Callable[[], Iterator[Parts]]], ...] = (
        (
            "everything",
            ("H-8", "D-5", "A-1", "N-1", "C-16", "Q-8"),
            "Rewrites an artifact with every document and every role of part to the same bytes.",
            _ALL,
            lambda: iter([writing.write(samples.everything())]),
        ),
        (
            "unknown-ops",
            ("C-10",),
            "Keeps modules, objects and algorithms whose names it does not know.",
            small | {"optimizer", "training", "feature:opaque"},
            _unknown_ops,
        ),
        (
            "residue",
            ("C-16",),
            "Keeps the residue of frameworks that it does not know, wherever it stands.",
            small | {"optimizer", "training", "state"},
            _residue,
        ),
        (
            "newer",
            ("Q-6", "Q-4"),
            "Keeps the fields and the version of documents of a higher minor version.",
            _ALL,
            _newer,
        ),
        (
            "own-fields",
            ("Q-8",),
            "Keeps fields that begin with x-, in the manifest and in the entries of parts too.",
            _ALL,
            _own_fields,
        ),
        (
            "stale-natives",
            ("N-1", "N-2"),
            "Keeps native documents byte for byte, stale ones and such without bindings included.",
            small,
            _natives,
        ),
        (
            "assets",
            ("A-1",),
            "Keeps assets byte for byte.",
            small,
            lambda: iter([writing.write({**config(), "parts": {"assets/a": part("asset", bytes(range(256)), "x/y")}})]),
        ),
    )
    found = [
        Check(f"rewriting/{name}", clauses, needs | {"transcode"}, title, partial(_kept, make))
        for name, clauses, title, needs, make in asks
    ]
    more = (
        (
            "shards",
            ("W-23", "W-24", "D-5"),
            "Cuts an artifact into shards, and puts it together again, without a change of its content.",
            small,
            _shards,
        ),
        (
            "chunks",
            ("W-11",),
            "Names the tensors of what it writes by their variable, and pieces by their offset too.",
            small | {"feature:chunks"},
            _chunks,
        ),
        (
            "header-limit",
            ("W-25", "L-1"),
            "Begins a new shard where the header of a data part would pass the limit.",
            small,
            _header_limit,
        ),
    )
    found += [
        Check(f"rewriting/{name}", clauses, needs | {"transcode"}, title, run, slow=name == "header-limit")
        for name, clauses, title, needs, run in more
    ]
    return found


def _kept(make: Callable[[], Iterator[Parts]], context: Context) -> None:
    """An artifact is written anew from each form into each form, and every byte stays."""
    forms = sorted(context.session.hello.artifact_forms)
    for parts in make():
        for source in forms:
            for target in forms:
                path = new_path(context.folder, ".etui" if target == "packed" else "")
                question = about_parts(context.session, "transcode", parts, source, form=target, path=str(path))
                found = question.accepted()
                check_written(question, target, path, parts)
                identity = manifest.digest(parts["manifest.json"])
                if found.get("identity") != identity:
                    raise question.mismatch("transcode gave another identity", identity, found.get("identity"))


def _unknown_ops() -> Iterator[Parts]:
    attrs = {"a": {"$object": {"class": "nobody:Knows", "config": {"b": [1, {"$tuple": []}]}, "shared": 1}}}
    inner = {"name": "inner", "kind": "opaque", "op": "custom:a>C.d>e", "attrs": attrs, "params": {"k": "a"}}
    content = samples.optimizer(
        {
            "algorithm": "nobody:Rule",
            "hyperparameters": {"odd": {"$dtype": "int8"}},
            "groups": [{"variables": ["a"]}],
            "schedule": {"$object": {"class": "nobody:Schedule", "config": {}}},
            "schedule_clock": "step",
        },
        {},
    )
    content |= config(op="nobody:Model", attrs=attrs, modules=[inner], build=[{"$module": "inner"}, {"$variable": "a"}])
    content["training"] = {
        "format": "etui-training",
        "version": samples.VERSION,
        "loss": attrs["a"],
        "metrics": [attrs["a"]],
    }
    yield writing.write(content)


def _residue() -> Iterator[Parts]:
    facts = {"nobody": {"a": {"$bytes": "AA=="}, "b": [None]}, "keras": {"c": 1}}
    content = samples.optimizer({"groups": [{"variables": ["a"]}], "residue": facts}, {})
    stated = samples.state(residue=facts)
    content["state"] = stated["state"]
    attrs = {"o": {"$object": {"class": "nobody:Knows", "config": {}, "residue": facts}}}
    content |= config(
        attrs=attrs, residue=facts, modules=[{"name": "a", "kind": "layer", "op": "x:Y", "residue": facts}]
    )
    content["training"] = {"format": "etui-training", "version": samples.VERSION, "residue": facts}
    yield writing.write(content)


def _newer() -> Iterator[Parts]:
    content = samples.everything()
    more: Tree = {"later": {"a": [1, None, "b"]}, "x-own": True}
    roles = ("config", "weights", "training", "optimizer", "state")
    for role in roles:
        content[role] |= {**more, "version": "1.7"}
    content["config"]["model"] |= more
    content["config"]["model"]["modules"][0] |= more
    content["weights"]["variables"]["dense/bias"] |= more
    one = content["optimizer"]["optimizers"]["optimizer"]
    one |= more
    one["groups"][0] |= more
    content["optimizer"]["tensors"]["optimizer/slots/dense/kernel/momentum"] |= more
    content["state"]["rng"]["seeds"] |= more
    yield _with_entries(writing.write(content), more)


def _own_fields() -> Iterator[Parts]:
    more: Tree = {"x-own": {"a": [1, None]}, "x-": False}
    yield _with_entries(writing.write(samples.everything()), more)


def _with_entries(parts: Mapping[str, bytes], more: Tree) -> Parts:
    """The artifact with further fields in the manifest and in its entry of each part."""
    tree = {**json.decode(parts["manifest.json"]), **more}
    tree["parts"] = {name: {**entry, **more} for name, entry in tree["parts"].items()}
    return {**parts, "manifest.json": json.encode(tree)}


def _natives() -> Iterator[Parts]:
    for bindings in ({}, {"config": f"sha256:{'0' * 64}"}, {"training": f"sha256:{'1' * 64}"}):
        yield writing.write({**config(), "parts": {"native/other/a.json": samples.native(b'{"b" :1}\n', **bindings)}})
    parts = writing.write({**config(), **weights({"a": samples.FLAG})})
    fresh = {"config": manifest.digest(parts["config.json"]), "weights": manifest.digest(parts["weights.json"])}
    content: Content = {**config(), **weights({"a": samples.FLAG})}
    yield writing.write({**content, "parts": {"native/other/a.json": samples.native(b"{ }", **fresh)}})


def _shards(context: Context) -> None:
    tensors = {path: samples.tensor("uint8", [size], bytes([size]) * size) for path, size in _SIZES.items()}
    content = {**config(), **weights(tensors)}
    whole = writing.write(content)
    sizes: tuple[int | None, ...] = (None, 1, 6, 1000)
    for before in sizes:
        parts = writing.write(content, before)
        for after in sizes:
            path = new_path(context.folder, ".etui")
            fields: dict[str, Any] = {"form": "packed", "path": str(path)} | ({"shard_size": after} if after else {})
            if "packed" not in context.session.hello.forms:
                fields |= {"form": "directory"}
            question = about_parts(context.session, "transcode", parts, fields["form"], **fields)
            question.accepted()
            check_written(question, fields["form"], path, writing.write(content, after) if after else whole)


_SIZES = {"z": 3, "b": 2, "a": 5, "big": 20, "c": 1, "d": 4}


def _chunks(context: Context) -> None:
    """A tensor in two pieces; whether they are put together is free."""
    rows = {"t@0,0": ("U8", [1, 2], b"\1\2"), "t@1,0": ("U8", [1, 2], b"\3\4")}
    tensors = {"t": samples.tensor("uint8", [2, 2], b"\1\2\3\4"), "u": samples.FLAG}
    content = weights(tensors)
    parts = writing.write(content)
    document = json.decode(parts["weights.json"])
    document["variables"]["t"]["chunks"] = [
        {
            "digest": manifest.digest(data),
            "offset": [row, 0],
            "part": "weights.safetensors",
            "shape": shape,
            "tensor": name,
        }
        for row, (name, (_, shape, data)) in enumerate(rows.items())
    ]
    data = safetensors.write({**rows, "u": ("U8", [1], samples.FLAG["data"])})
    listed = json.decode(parts["manifest.json"])
    header = data[: safetensors.header_size(data)]
    listed["parts"]["weights.safetensors"] |= {
        "header": {"digest": manifest.digest(header), "size": len(header)},
        "size": len(data),
    }
    encoded = json.encode(document)
    listed["parts"]["weights.json"] |= {"digest": manifest.digest(encoded), "size": len(encoded)}
    listed["requires"] = ["chunks"]
    parts = {"manifest.json": json.encode(listed), "weights.json": encoded, "weights.safetensors": data}
    form = min(context.session.hello.artifact_forms)
    path = new_path(context.folder)
    question = about_parts(context.session, "transcode", parts, form, form=form, path=str(path))
    question.accepted()
    try:
        written = read_form(form, path)
        found = reading.read(written)
    except (Refusal, OSError) as trouble:
        raise question.mismatch("what transcode wrote is no artifact", "an artifact", str(trouble)) from None
    if not same(found["tensors"], content["tensors"]):
        raise question.mismatch("transcode changed a tensor in chunks", content["tensors"], "others")
    for name, entry in json.decode(written["weights.json"])["variables"].items():
        chunks = entry["chunks"]
        for chunk in chunks:
            expected = name if len(chunks) == 1 else f"{name}@{','.join(map(str, chunk['offset']))}"
            if chunk["tensor"] != expected:
                raise question.mismatch("transcode gave a chunk another name", expected, chunk["tensor"])


def _header_limit(context: Context) -> None:
    """So many tensors with names so long that one header cannot name them all; each quote of a name counts twice."""
    long = "/".join('"' * 255 for _ in range(15))
    empty = samples.tensor("uint8", [0] * 32, b"")
    parts = writing.write(weights({f"{long}/{number:0255d}": empty for number in range(_TOO_MANY)}))
    if "weights-00002-of-00002.safetensors" not in parts:
        raise RuntimeError("the tensors fit into one data part")
    form = min(context.session.hello.artifact_forms)
    path = new_path(context.folder)
    question = about_parts(context.session, "transcode", parts, form, form=form, path=str(path))
    question.accepted()
    check_written(question, form, path, parts)


_TOO_MANY = 11_600
