"""Faults of the directory form (chapter 8)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import MANIFEST, seal
from etui_conformance.strategies.faults.base import Case, Fault, Given, Host, Ways, register
from etui_conformance.strategies.faults.common import ASSET, WITH_ASSET, pick
from etui_conformance.strategies.scope import Scope

Spoil = Callable[[Path], None]

_DOCUMENTS = ("weights.json", "weights.safetensors")
_HOST = Host(("weights",))


def _in_folder(
    clauses: str, codes: str, name: str, host: Host = _HOST, *, full: bool = False
) -> Callable[[Callable[[st.DrawFn], Spoil]], Callable[[st.DrawFn], Spoil]]:
    """Declare a fault of a folder: the function draws what is done to it after the artifact was written."""

    def declare(make: Callable[[st.DrawFn], Spoil]) -> Callable[[st.DrawFn], Spoil]:
        def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
            parts = seal(host.draw(draw, scope))
            faulty = ways.made(draw, lambda turn: Given(parts, spoil=make(turn), form="directory"))
            return Case(Given(parts, form="directory"), faulty)

        needs = host.capabilities() | {"directory"}
        register(Fault(tuple(clauses.split()), tuple(codes.split()), name, needs, case, full))
        return make

    return declare


def _part(draw: st.DrawFn) -> str:
    found: str = pick(draw, *_DOCUMENTS)
    return found


@_in_folder("F-1", "part-not-a-file", "symbolic link in the place of a part")
def _link(draw: st.DrawFn) -> Spoil:
    name = pick(draw, *[*_DOCUMENTS, MANIFEST])

    def spoil(root: Path) -> None:
        kept = root.with_name(f"{root.name}-kept")
        (root / name).rename(kept)
        (root / name).symlink_to(kept)

    return spoil


@_in_folder("F-1", "part-not-a-file", "folder in the place of a part")
def _folder(draw: st.DrawFn) -> Spoil:
    name = _part(draw)

    def spoil(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return spoil


@_in_folder("F-1", "part-not-a-file", "pipe in the place of a part")
def _pipe(draw: st.DrawFn) -> Spoil:
    name = _part(draw)

    def spoil(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return spoil


@_in_folder("F-2 F-6", "manifest-missing", "no manifest")
def _no_manifest(_draw: st.DrawFn) -> Spoil:
    return lambda root: (root / MANIFEST).unlink()


@_in_folder("F-3", "part-missing", "part that is not there")
def _missing(draw: st.DrawFn) -> Spoil:
    name = _part(draw)
    return lambda root: (root / name).unlink()


@_in_folder("F-3", "part-missing", "asset that is not there", WITH_ASSET)
def _missing_asset(_draw: st.DrawFn) -> Spoil:
    return lambda root: (root / ASSET).unlink()


@_in_folder("F-4", "part-size", "part of another size")
def _size(draw: st.DrawFn) -> Spoil:
    name = _part(draw)
    longer = draw(st.booleans())

    def spoil(root: Path) -> None:
        data = (root / name).read_bytes()
        (root / name).write_bytes(data + b"\0" if longer else data[:-1])

    return spoil


@_in_folder("F-5 H-7", "part-unlisted", "file that is not listed", full=True)
def _unlisted(draw: st.DrawFn) -> Spoil:
    name = draw(
        st.sampled_from(["notes.txt", "assets/zz.txt", "weights-00001-of-00002.safetensors", ".hidden", "a/b/c"])
    )

    def spoil(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    return spoil
