"""The option of the commands that read HDF5."""

from __future__ import annotations

import argparse


def isolation_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--no-isolate`."""
    parser.add_argument(
        "--no-isolate",
        action="store_true",
        help="read HDF5 that is trusted in this process, without bounds on libhdf5's memory and time",
    )
