"""Copy the vectors, so that an implementation's own tests can run them without this suite.

The folder gets manifest.json, which lists every vector: its files with their SHA-256, whether a reader must accept or
refuse it, the codes of the refusal, the valid sibling that is one edit away, and the clauses of SPEC.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from etui_conformance.cli.errors import CommandError
from etui_conformance.cli.screen import counted
from etui_conformance.resources import vectors_directory

_MANIFEST = "manifest.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="FOLDER",
        help="leave out a folder of vectors, such as `formats` or `core`; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Copy."""
    source, target = vectors_directory(), options.folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CommandError(f"{target} is there already, and not an empty folder")
    folders = {path.name for path in source.iterdir() if path.is_dir()}
    if unknown := sorted(set(options.without) - folders):
        raise CommandError(
            f"no folder of vectors is named {', '.join(unknown)}; there are {', '.join(sorted(folders))}"
        )
    left_out = set(options.without)
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=lambda at, _: left_out if Path(at) == source else ())
    listed = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
    if left_out:
        listed["vectors"] = [each for each in listed["vectors"] if each["id"].partition("/")[0] not in left_out]
        (target / _MANIFEST).write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    files = sum(path.is_file() for path in target.rglob("*"))
    manifests = [f"{name}/{_MANIFEST}" for name in sorted(folders - left_out) if (target / name / _MANIFEST).is_file()]
    print(f"{counted(len(listed['vectors']), 'vector')}, {counted(files, 'file')} in {target}")
    print(f"{_MANIFEST} lists them" + (f"; further ones are listed by {', '.join(manifests)}" if manifests else ""))
    return 0
