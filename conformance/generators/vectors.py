"""Write the golden vectors, or check that they are those that this generator makes.

    python conformance/generators/vectors.py            # writes conformance/vectors
    python conformance/generators/vectors.py --check    # says what differs, and fails if anything does

Only the folders of the areas below, and the manifest, are this generator's: what else is in conformance/vectors is made
elsewhere and left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import vectors_config
import vectors_corners
import vectors_data
import vectors_directory
import vectors_documents
import vectors_edges
import vectors_json
import vectors_limits
import vectors_manifest
import vectors_msgpack
import vectors_packed
import vectors_state
import vectors_training
import vectors_values
import vectors_versions
import vectors_weights
from vectors_kit import Area, Entry

from etui_conformance.protocol import wire

FOLDER = Path(__file__).parents[1] / "vectors"


def main() -> int:
    """Write the vectors, or compare them with those in the folder; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file would change")
    check = parser.parse_args().check
    wanted = files()
    there = _there(FOLDER, {name.partition("/")[0] for name in wanted})
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if not check:
        _write(wanted, stale)
    sys.stdout.write(f"{len(wanted)} files; {'stale' if check else 'written'}: {', '.join(stale) or 'none'}\n")
    return 1 if check and stale else 0


def areas() -> list[Area]:
    """Every folder of vectors, in the order of the chapters."""
    return [
        vectors_json.area(),
        vectors_msgpack.area(),
        vectors_values.area(),
        *vectors_manifest.areas(),
        vectors_directory.area(),
        vectors_packed.area(),
        vectors_data.area(),
        *vectors_weights.areas(),
        vectors_config.area(),
        *vectors_training.areas(),
        vectors_state.area(),
        vectors_versions.area(),
        vectors_limits.area(),
        vectors_documents.area(),
        vectors_corners.area(),
        vectors_edges.area(),
    ]


def files() -> dict[str, bytes]:
    """Every file by its name below the folder of vectors, the manifest among them."""
    made: dict[str, bytes] = {}
    listed: list[dict[str, Any]] = []
    for area in areas():
        for entry in area.entries:
            own = dict(entry.files)
            if entry.content is not None:
                own[f"{entry.id}.content.json"] = _pretty(wire.content_to_wire(entry.content, FOLDER))
            made |= own
            listed.append(_listed(entry, own))
    return made | {"manifest.json": _manifest(listed)}


def _listed(entry: Entry, own: dict[str, bytes]) -> dict[str, Any]:
    """An entry of the manifest of the vectors."""
    content = {"expected": f"{entry.id}.content.json"} if entry.content is not None else {}
    return {
        "id": entry.id,
        "name": entry.name,
        "clauses": list(entry.clauses),
        "kind": entry.form,
        "needs": sorted(entry.needs),
        "since": "1.0",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(own.items())},
        **entry.fields,
        **content,
    }


def _manifest(listed: Iterable[dict[str, Any]]) -> bytes:
    """The list of all vectors, one a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in listed)
    head = '"format":"etui-vectors","generator":"conformance/generators/vectors.py","spec":"1.0"'
    return f'{{{head},"vectors":[\n{lines}\n]}}\n'.encode()


def _pretty(tree: Any) -> bytes:
    return (json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _there(folder: Path, own: Iterable[str]) -> dict[str, bytes]:
    """The files of the folder that are this generator's: below the names of its areas, and the manifest."""
    roots = [folder / name for name in sorted(own)]
    paths = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def _write(wanted: dict[str, bytes], stale: Iterable[str]) -> None:
    for name in stale:
        path = FOLDER / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
