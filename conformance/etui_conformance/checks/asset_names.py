"""Names of files that the alphabet of parts does not hold, as they come from a framework."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Final

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.natives import converted, read_artifact
from etui_conformance.protocol.wire import new_path
from etui_conformance.resources import vectors_directory

_SOURCE: Final = "formats/sources/keras/string_lookup.keras"
_LAYER: Final = "adapted"
# The name of a layer with a vocabulary -> the segment that its path becomes in the name of a part.
_NAMES: Final = {
    "wörter": "w%C3%B6rter",
    "𝄞 b": "%F0%9D%84%9E%20b",
    "50%": "50%2525",  # escaped as a segment of a path first (D-3)
    ".hidden": "%2Ehidden",
    "end.": "end%2E",
    "AUX": "%41UX",
    "com1.x": "%63om1.x",
    "a-b_c.d+e=f": "a-b_c.d+e=f",
}


def checks() -> list[Check]:
    """The check of names, for those who read a format with assets."""
    needs = frozenset({"convert", "format:keras", "packed", "parts"})
    title = "Escapes what the name of a part cannot hold where an asset is named after a layer."
    return [Check("assets/names", ("P-6", "A-1"), needs, title, _names)]


def _names(context: Context) -> None:
    for layer, segment in _NAMES.items():
        source, target = new_path(context.folder, ".keras"), new_path(context.folder, ".etui")
        words = _archive(layer, source)
        question = converted(context, source, "etui", target)
        _, content = read_artifact(question, target)
        parts = content.get("parts", {}).items()
        assets = {name: part["data"] for name, part in parts if part["role"] == "asset"}
        if words not in [data for name, data in assets.items() if segment in name.split("/")]:
            what = f"the vocabulary of the layer {layer!r} has another name, or other bytes"
            raise question.mismatch(what, f"assets/{segment}/…", sorted(assets))


def _archive(layer: str, path: Path) -> bytes:
    """Make an archive of Keras whose layer with a vocabulary has that name; gives the vocabulary."""
    with zipfile.ZipFile(vectors_directory() / _SOURCE) as archive, zipfile.ZipFile(path, "w") as made:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "config.json":
                data = data.replace(json.dumps(_LAYER).encode(), json.dumps(layer).encode())
            if name.startswith("assets/"):
                words = data
            made.writestr(name, data)
    return words
