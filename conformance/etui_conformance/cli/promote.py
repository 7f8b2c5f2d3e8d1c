"""Make a vector of a failure that a run found, so that it is asked of every implementation from then on.

The failure must be one of the implementation: the suite's oracle has to agree with what the check expected.
Works in a checkout of the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from etui_conformance.cli.errors import CommandError
from etui_conformance.promotion import PromotionError, promote
from etui_conformance.replay import read_failure
from etui_conformance.resources import repository, vectors_directory


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the failure: REPORT/failures/NUMBER")
    parser.add_argument("--name", metavar="TEXT", help="what the vector shows (default: the title of the check)")
    parser.add_argument("--sibling", metavar="ID", help="a valid vector that is one edit away from an invalid artifact")


def run(options: argparse.Namespace) -> int:
    """Write the vector and say where it is."""
    if repository() is None:
        raise CommandError("vectors are promoted in a checkout of the repository, and not in an installed package")
    failure = read_failure(options.folder)
    try:
        made = promote(failure, vectors_directory(), name=options.name, sibling=options.sibling)
    except PromotionError as fault:
        raise CommandError(f"{options.folder}: {fault}") from fault
    for each in made:
        print(f"{each.id}: {', '.join(str(file) for file in each.files) or 'is a vector already'}")
    return 0
