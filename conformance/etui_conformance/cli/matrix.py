"""Let several implementations read what each of them writes: producers in rows, consumers in columns.

Each content of the vectors that both understand is written by the one and read by the other, bit for bit.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from etui_conformance import vectors
from etui_conformance.cli.adapters import HELP, add_deadline, opener
from etui_conformance.cli.errors import CommandError
from etui_conformance.cli.screen import counted, printable, table
from etui_conformance.matrix import Matrix, cross

_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("adapters", nargs="+", metavar="COMMAND", help=HELP)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the matrix as JSON")
    parser.add_argument("--area", metavar="FOLDER", help="only the vectors of this folder, such as `weights`")
    add_deadline(parser)


def run(options: argparse.Namespace) -> int:
    """Print the matrix; exit code 1 if anything was lost."""
    tried = [each for each in vectors.load() if options.area is None or each.id.startswith(f"{options.area}/")]
    if not tried:
        raise CommandError(f"there are no vectors in {options.area!r}")
    if len(options.adapters) != len(set(options.adapters)):
        raise CommandError("an adapter is named twice")
    labels = {chr(ord("A") + index): command for index, command in enumerate(options.adapters)}
    found = cross({label: opener(command, options.deadline) for label, command in labels.items()}, tried)
    if options.json is not None:
        text = json.dumps({**found.as_json(), "commands": labels}, indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    _show(found)
    return 0 if found.whole else 1


def _show(found: Matrix) -> None:
    for label, name in found.names.items():
        print(f"{label}  {printable(name)}")
    header = ["written by \\ read by", *found.names]
    rows = [[label, *(found.cells[label, other].verdict for other in found.names)] for label in found.names]
    print(f"\n{table([header, *rows])}\n\n{counted(found.contents, 'content')}")
    lost = [
        [f"{cell.producer} to {cell.consumer}", name, printable(why)]
        for cell in found.cells.values()
        for name, why in cell.lost.items()
    ]
    lost += [
        [f"{label} writes", name, printable(why)]
        for label, each in found.unwritten.items()
        for name, why in each.items()
    ]
    if lost:
        print(f"\nlost:\n{table(lost[:_SHOWN], '  ')}")
    if len(lost) > _SHOWN:
        print(f"  and {len(lost) - _SHOWN} more")
