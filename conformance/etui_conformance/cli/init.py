"""Write an adapter to begin with, a complete program that claims nothing yet, and say how to go on."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Final

from etui_conformance.cli.errors import CommandError
from etui_conformance.skeletons import SKELETONS

_FOLDER: Final = Path("etui-adapter")
_PROFILE: Final = "weights-reader"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--lang", required=True, choices=SKELETONS, help="the language of your library")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=_FOLDER, metavar="DIR", help="where to write it (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the files, and print the commands that come next."""
    skeleton = SKELETONS[options.lang]
    for name in _written(skeleton.files(), options.folder):
        print(f"wrote {options.folder / name}")
    adapter = shlex.quote(skeleton.adapter_command(options.folder))
    print("\nNext:")
    if build := skeleton.build_command(options.folder):
        print(f"  {build}")
    print(f"  etui-conformance smoke --adapter {adapter}")
    print(f"  etui-conformance run --profile {_PROFILE} --adapter {adapter}")
    return 0


def _written(files: dict[str, bytes], folder: Path) -> list[str]:
    """Write all files, or none where one of them is there already."""
    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise CommandError(f"{folder / there[0]} is there already; name another folder, nothing was written")
    try:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    except OSError as fault:
        raise CommandError(f"cannot write the adapter: {fault}") from fault
    return list(files)
