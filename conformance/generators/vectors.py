"""Write the golden vectors, or check that they are those that this generator makes.

    python conformance/generators/vectors.py            # writes conformance/vectors
    python conformance/generators/vectors.py --check    # says what differs, and fails if anything does

Only the folders of the areas below, and the manifest, are this generator's: what else is in conformance/vectors is made
elsewhere and left alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import vector_files
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
from vectors_kit import Area

FOLDER = Path(__file__).parents[1] / "vectors"


def main() -> int:
    """Write the vectors, or compare them with those in the folder; the exit code."""
    wanted = files()
    own = {name.partition("/")[0] for name in wanted}
    return vector_files.write_or_check((__doc__ or "").partition("\n")[0], wanted, FOLDER, own)


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
            own = vector_files.files_of(entry, entry.files, FOLDER)
            made |= own
            listed.append(vector_files.listed(entry, entry.form, own))
    return made | {"manifest.json": vector_files.manifest(listed, "vectors.py")}


if __name__ == "__main__":
    sys.exit(main())
