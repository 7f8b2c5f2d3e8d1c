"""Write the golden vectors of series of checkpoints (annex Q), or check that they are those that this generator makes.

python conformance/generators/series.py            # writes conformance/vectors/series
python conformance/generators/series.py --check    # says what differs, and fails if anything does
"""

from __future__ import annotations

import sys
from pathlib import Path

import series_faults
import series_valid
import vector_files
from series_kit import Family

FOLDER = Path(__file__).parents[1] / "vectors"
_OWN = "series"


def main() -> int:
    """Write the vectors, or compare them with those in the folder; the exit code."""
    return vector_files.write_or_check((__doc__ or "").partition("\n")[0], files(), FOLDER, [_OWN])


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
        own = vector_files.files_of(entry, entry.stored, FOLDER)
        made |= own
        listed.append(vector_files.listed(entry, entry.kind, own))
    return made | {f"{_OWN}/manifest.json": vector_files.manifest(listed, "series.py")}


if __name__ == "__main__":
    sys.exit(main())
