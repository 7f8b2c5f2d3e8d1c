"""Write the golden vectors of series of checkpoints (annex Q), or check that they are those that this generator makes.

python conformance/generators/series.py            # writes conformance/vectors/series
python conformance/generators/series.py --check    # says what differs, and fails if anything does
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import series_faults
import series_valid
from series_kit import Entry, Family

from etui_conformance.protocol import wire

FOLDER = Path(__file__).parents[1] / "vectors"
_OWN = "series"


def main() -> int:
    """Write the vectors, or compare them with those in the folder; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file would change")
    check = parser.parse_args().check
    wanted = files()
    there = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted((FOLDER / _OWN).rglob("*"))
        if path.is_file()
    }
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    for name in () if check else stale:
        path = FOLDER / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()
    sys.stdout.write(f"{len(wanted)} files; {'stale' if check else 'written'}: {', '.join(stale[:99]) or 'none'}\n")
    return 1 if check and stale else 0


def family() -> Family:
    """The vectors, valid ones first."""
    found = Family(_OWN)
    series_valid.add(found)
    series_faults.add(found)
    return found


def files() -> dict[str, bytes]:
    """Every file by its name below the folder of vectors, the list of the series among them."""
    made: dict[str, bytes] = {}
    listed = []
    for entry in family().entries:
        own = dict(entry.stored)
        if entry.content is not None:
            tree = wire.content_to_wire(entry.content, FOLDER)
            text = json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True)
            own[f"{entry.id}.content.json"] = f"{text}\n".encode()
        made |= own
        listed.append(_listed(entry, own))
    return made | {f"{_OWN}/manifest.json": _manifest(listed)}


def _listed(entry: Entry, own: dict[str, bytes]) -> dict[str, Any]:
    """An entry of the list."""
    content = {"expected": f"{entry.id}.content.json"} if entry.content is not None else {}
    return {
        "id": entry.id,
        "name": entry.name,
        "clauses": list(entry.clauses),
        "kind": entry.kind,
        "needs": sorted(entry.needs),
        "since": "1.0",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(own.items())},
        **entry.fields,
        **content,
    }


def _manifest(listed: Iterable[dict[str, Any]]) -> bytes:
    """The list, a vector a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in listed)
    head = '"format":"etui-vectors","generator":"conformance/generators/series.py","spec":"1.0"'
    return f'{{{head},"vectors":[\n{lines}\n]}}\n'.encode()


if __name__ == "__main__":
    sys.exit(main())
