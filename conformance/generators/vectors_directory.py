"""Vectors of the directory form (SPEC.md chapter 8); what a folder of files cannot hold is set up by a runner."""

from __future__ import annotations

from collections.abc import Callable

from vectors_contents import config, f32, joined, layer, part, state, stored, weights
from vectors_kit import FULL, Area
from vectors_parts import CONFIG, DATA, MANIFEST, STATE, WEIGHTS, Parts

_ASSET = "assets/a/words.txt"


def area() -> Area:
    """The vectors."""
    found = Area("directory")
    content = joined(
        config(layer("m", attrs={"words": {"$asset": _ASSET}}, params={"kernel": "k"})),
        weights({"k": f32([2], 1, -0.0)}),
        state({"user/s": f32([1], 3)}, user={"s": stored("user/s")}),
        parts={_ASSET: part("asset", b"a\n", "text/plain"), "assets/empty": part("asset", b"")},
    )
    subject = ["config", "weights", "state", "parts"]
    base = found.valid("a folder with folders in it", "F-1 F-2 I-1 H-8", content, form="directory", subject=subject)
    found.valid(
        "a folder with weights alone", "F-1", weights({"k": f32([1], 1)}), form="directory", subject=["weights"]
    )
    two = weights({"a": f32([2], 1, 2), "b": f32([2], 3, 4)})
    found.valid("a folder with shards", "F-1 W-24 P-5", two, form="directory", shard_size=8, subject=["weights"])
    size, missing = "part-size", "part-missing"
    damaged = f"{size}|digest-mismatch|safetensors-header|safetensors-layout"
    found.folder_faults(
        base,
        [
            ("no manifest", "F-2", "manifest-missing", _without(MANIFEST), []),
            ("no index of weights", "F-3", missing, _without(WEIGHTS), []),
            ("no config", "F-3", missing, _without(CONFIG), []),
            ("no data part", "F-3", missing, _without(DATA), []),
            ("no asset", "F-3", missing, _without(_ASSET), []),
            (
                "an index without its last byte",
                "F-4 H-7",
                f"{size}|digest-mismatch",
                _changed(WEIGHTS, slice(None, -1)),
                [],
            ),
            ("a data part without its last byte", "F-4 H-7", damaged, _changed(DATA, slice(None, -1)), []),
            ("a data part of no bytes", "F-4 H-7", damaged, _changed(DATA, slice(0, 0)), []),
            (
                "an asset without its last byte",
                "F-4 H-7",
                f"{size}|digest-mismatch",
                _changed(_ASSET, slice(None, -1)),
                [],
            ),
            ("a state with a byte more", "F-4 H-7", f"{size}|digest-mismatch", _longer(STATE), []),
            ("an asset with a byte more", "F-4 H-7", f"{size}|digest-mismatch", _longer("assets/empty"), []),
            ("a link in the place of an index", "F-1 X-1", "part-not-a-file", _nothing, _linked(WEIGHTS)),
            ("a link in the place of a data part", "F-1 X-1", "part-not-a-file", _nothing, _linked(DATA)),
            ("a link in the place of an asset", "F-1 X-1", "part-not-a-file", _nothing, _linked(_ASSET)),
            ("a link in the place of the manifest", "F-1 X-1", "part-not-a-file", _nothing, _linked(MANIFEST)),
            (
                "a link to a part of the same folder",
                "F-1",
                "part-not-a-file",
                _without(WEIGHTS),
                [{"do": "link", "at": WEIGHTS, "to": CONFIG}],
            ),
            (
                "a link to nothing",
                "F-1",
                "part-not-a-file",
                _without(WEIGHTS),
                [{"do": "link", "at": WEIGHTS, "to": "nowhere"}],
            ),
            (
                "a folder in the place of an index",
                "F-1",
                "part-not-a-file",
                _without(WEIGHTS),
                [{"do": "folder", "at": WEIGHTS}],
            ),
            (
                "a folder in the place of an asset",
                "F-1",
                "part-not-a-file",
                _without(_ASSET),
                [{"do": "folder", "at": _ASSET}],
            ),
            (
                "a pipe in the place of an index",
                "F-1 E-2",
                "part-not-a-file",
                _without(WEIGHTS),
                [{"do": "pipe", "at": WEIGHTS}],
            ),
        ],
    )
    found.folder_faults(
        base,
        [
            ("a file that is not listed", "F-5", "part-unlisted", _more("assets/b"), []),
            ("a file that is not listed, beside the manifest", "F-5", "part-unlisted", _more("notes.txt"), []),
            ("a data part that is not listed", "F-5", "part-unlisted", _more("optimizer.safetensors"), []),
        ],
        ops=FULL,
    )
    return found


def _nothing(parts: Parts) -> None:
    """The files are those of the valid artifact: the fault is what a runner sets up."""


def _without(name: str) -> Callable[[Parts], object]:
    return lambda parts: parts.pop(name)


def _changed(name: str, kept: slice) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name: parts[name][kept]})


def _longer(name: str) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name: parts[name] + b"\n"})


def _more(name: str) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name: b"more"})


def _linked(name: str) -> list[dict[str, str]]:
    """The part is outside of the folder, and a link leads to it."""
    up = "../" * (name.count("/") + 1)
    return [{"do": "move", "at": name, "to": "../outside"}, {"do": "link", "at": name, "to": f"{up}outside"}]
