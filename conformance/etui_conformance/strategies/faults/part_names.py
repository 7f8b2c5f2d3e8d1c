"""Faults of the names and roles of parts, and of native documents (chapters 7 and 17)."""

from __future__ import annotations

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.strategies.drafts import MANIFEST, Draft, Parts, digest, seal
from etui_conformance.strategies.faults.base import (
    Case,
    Fault,
    Given,
    Host,
    Ways,
    in_draft,
    in_manifest,
    in_parts,
    register,
)
from etui_conformance.strategies.faults.common import (
    ANYTHING,
    ASSET,
    NATIVE,
    PROGRAM,
    WITH_ASSET,
    WITH_NATIVE,
    WITH_PROGRAM,
    Tree,
    documents_of,
    pick,
    wrong_digest,
)
from etui_conformance.strategies.faults.hosts import STEPS
from etui_conformance.strategies.faults.zips import Archive, archive_of, write
from etui_conformance.strategies.scope import Scope

_GROUP = ("asset", "native", "program")


def _named(clauses: str, codes: str, name: str, *names: str, host: Host = WITH_ASSET) -> None:
    """Declare a fault of a part's name, in an artifact in packed form: no folder could have some of them."""

    def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
        parts = seal(host.draw(draw, scope))
        made = ways.made(draw, lambda turn: Given(packed=_renamed(parts, pick(turn, *names))))
        return Case(Given(parts, form="packed"), made)

    needs = host.capabilities() | {"packed"}
    register(Fault(tuple(clauses.split()), tuple(codes.split()), name, needs, case))


def _renamed(parts: Parts, name: str) -> bytes:
    """The archive with the asset under another name, in the place among its group that the name has."""
    tree = canonical.decode(parts[MANIFEST])
    tree["parts"][name] = tree["parts"].pop(ASSET)
    members = archive_of({**parts, MANIFEST: canonical.encode(tree)}).members
    asset = next(member for member in members if member.name == ASSET.encode())
    asset.name = name.encode()
    others = [one.name.decode() for one in members if tree["parts"].get(one.name.decode(), {}).get("role") in _GROUP]
    members.remove(asset)
    data = sum(entry["role"] == "data" for entry in tree["parts"].values())
    members.insert(data + sum(other.encode() < asset.name for other in others if other != name), asset)
    return write(Archive(members))


_named(
    "P-1",
    "part-name",
    "character of a part",
    "assets/a b",
    "assets/a:b",
    "assets/a\\b",
    "assets/a*",
    "assets/a\x7f",
    "assets/~",
    "assets/é",
    "assets/ß.txt",
    "assets/\u0661",
)
_named("P-1", "part-name", "empty segment of a part", "assets//a", "/assets/a", "assets/", "assets/a/")
_named(
    "P-2",
    "part-name",
    "dot at an end of a segment",
    "assets/.a",
    "assets/a.",
    "assets/.",
    "assets/..",
    "assets/../a",
    "../a",
)
_named(
    "P-2",
    "part-name",
    "name of a device",
    "assets/con",
    "assets/CON.txt",
    "assets/Nul",
    "assets/aux.tar.gz",
    "assets/com0",
    "assets/LPT9.a",
    "assets/prn/a",
)
_named("L-2 L-1", "limit-path", "long name of a part", "assets/" + "a" * 249, "assets/" + "/".join(["ab"] * 90))
_named("P-4", "part-role", "asset elsewhere", "asset/host.txt", "host.txt", "Assets/host.txt")


@in_parts("P-1", "part-name", "character of a file", WITH_ASSET, form="directory")
def _file_name(draw: st.DrawFn, parts: Parts) -> Parts:
    new = pick(draw, "assets/é", "assets/a b", "assets/\u0661", "assets/~", "assets/a:b")
    tree = canonical.decode(parts[MANIFEST])
    tree["parts"][new] = tree["parts"].pop(ASSET)
    kept = {key: data for key, data in parts.items() if key != ASSET}
    return {**kept, new: parts[ASSET], MANIFEST: canonical.encode(tree)}


@in_parts("P-3", "part-collision", "parts that differ in case", WITH_ASSET, form="packed")
def _case(draw: st.DrawFn, parts: Parts) -> Parts:
    return _with_copy(parts, pick(draw, "assets/HOST.txt", "assets/host.TXT"))


@in_parts("P-3", "part-collision", "part below another", WITH_ASSET, form="packed")
def _below(draw: st.DrawFn, parts: Parts) -> Parts:
    return _with_copy(parts, pick(draw, f"{ASSET}/a", "assets/HOST.txt/b/c"))


def _with_copy(parts: Parts, name: str) -> Parts:
    """The parts with a second asset."""
    tree = canonical.decode(parts[MANIFEST])
    tree["parts"][name] = tree["parts"][ASSET]
    return {**parts, name: parts[ASSET], MANIFEST: canonical.encode(tree)}


@in_manifest("P-4", "part-role", "document of another media type", ANYTHING)
def _media_type(draw: st.DrawFn, tree: Tree) -> None:
    entry = tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    entry["media_type"] = pick(draw, "application/json", entry["media_type"].upper(), f"{entry['media_type']};a=b")


@in_manifest("M-1 M-2", "manifest-form", "empty media type", WITH_ASSET)
def _no_media_type(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][ASSET]["media_type"] = pick(draw, "", None, 1)


@in_manifest("P-4", "part-role", "data of another media type")
def _data_media_type(draw: st.DrawFn, tree: Tree) -> None:
    entry = next(entry for entry in tree["parts"].values() if "header" in entry)
    entry["media_type"] = pick(draw, "application/octet-stream", "application/vnd.safetensor")


@in_manifest("P-4", "part-role manifest-form", "unknown role", WITH_ASSET)
def _role(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][ASSET]["role"] = pick(draw, "assets", "Asset", "blob")


@in_draft("P-5", "part-role", "shard that is lacking")
def _shard(draw: st.DrawFn, draft: Draft) -> None:
    _move(draft, pick(draw, "weights-00001-of-00002.safetensors", "weights-00002-of-00002.safetensors"))


@in_draft("P-5", "part-role", "shard beside a part of all")
def _beside(_draw: st.DrawFn, draft: Draft) -> None:
    (tensors,) = (draft.data[part] for part in draft.data if part.startswith("weights"))
    chunk = draft.entries("weights")[STEPS]["chunks"][0]
    chunk["part"] = "weights-00001-of-00001.safetensors"
    draft.data[chunk["part"]] = {chunk["tensor"]: tensors.pop(chunk["tensor"])}


@in_draft("P-5", "part-role", "shards counted from 0")
def _from_zero(_draw: st.DrawFn, draft: Draft) -> None:
    _move(draft, "weights-00000-of-00001.safetensors")


@in_draft("P-5 P-4", "part-role weights-form", "shard of few digits")
def _digits(draw: st.DrawFn, draft: Draft) -> None:
    _move(draft, pick(draw, "weights-1-of-1.safetensors", "weights-0001-of-0001.safetensors"))


def _move(draft: Draft, name: str) -> None:
    """Put all tensors of the weights into a part of another name."""
    tensors: Tree = {}
    for part in [part for part in draft.data if part.startswith("weights")]:
        tensors |= draft.data.pop(part)
    draft.data[name] = tensors
    for chunk in draft.chunks("weights"):
        chunk["part"] = name


@in_parts("G-1 P-4", "part-role", "program without a folder of its own", WITH_PROGRAM)
def _program(_draw: st.DrawFn, parts: Parts) -> Parts:
    tree = canonical.decode(parts[MANIFEST])
    tree["parts"]["programs/host"] = tree["parts"].pop(PROGRAM)
    kept = {key: data for key, data in parts.items() if key != PROGRAM}
    return {**kept, "programs/host": parts[PROGRAM], MANIFEST: canonical.encode(tree)}


@in_manifest("N-1 P-4", "part-role manifest-form", "native document of another framework", WITH_NATIVE)
def _framework(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][NATIVE]["framework"] = pick(draw, "torch", "Keras", "")


@in_manifest("N-2 M-1", "manifest-form", "native document without its fields", WITH_NATIVE)
def _native(draw: st.DrawFn, tree: Tree) -> None:
    del tree["parts"][NATIVE][pick(draw, "framework", "framework_version", "bindings")]


@in_manifest("N-2 M-1", "manifest-form", "bindings of another form", WITH_NATIVE)
def _bindings(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][NATIVE]["bindings"] = pick(
        draw, [], None, {"model.json": digest(b"")}, {"manifest.json": digest(b"")}
    )


@in_manifest("H-1 N-2", "digest-form", "digest of a binding of another form", WITH_NATIVE)
def _binding(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][NATIVE]["bindings"] = {"config.json": wrong_digest(draw, digest(b""))}
