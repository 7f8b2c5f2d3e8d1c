"""List the programs of a model, add one to an artifact, or remove one."""

from __future__ import annotations

import argparse
from typing import Any

from etui import programs
from etui._version import SPEC_VERSION
from etui.cli.interruption import interruptible
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import size_text
from etui.errors import without_secrets
from etui.programs.kinds import KINDS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = commands.add_parser("list", help="show the programs of X", allow_abbrev=False)
    adding = commands.add_parser(
        "add", help="add a program to X, made of its model; all else of X stays byte for byte", allow_abbrev=False
    )
    removing = commands.add_parser("remove", help="take a program out of X", allow_abbrev=False)
    for parser_of, text in (
        (listing, "a file, folder or URL of any known format"),
        (adding, "path or URL of an artifact"),
        (removing, "path or URL of an artifact"),
    ):
        parser_of.add_argument("location", metavar="X", help=text)
        parser_of.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    adding.add_argument("kind", metavar="KIND", choices=list(KINDS), help=f"one of {', '.join(KINDS)}")
    adding.add_argument("--name", metavar="NAME", help="of the program; by default that of its kind")
    adding.add_argument("--source", metavar="FILE", help="take the program from this file, such as an .onnx file")
    adding.add_argument("--replace", action="store_true", help="take the place of a program of that name")
    adding.add_argument(
        "--shape",
        metavar="INPUT=SIZES",
        action="append",
        type=_shape,
        default=[],
        help="fix the sizes of an input: 1,224,224,3; a size that is a word stays free, and one word is one size",
    )
    adding.add_argument(
        "--platforms", metavar="LIST", type=lambda text: text.split(","), help="of StableHLO: cpu,cuda,rocm,tpu"
    )
    removing.add_argument("name", metavar="NAME", help="of the program")


def run(options: argparse.Namespace) -> Outcome:
    """List, add or remove; an addition and a removal end with the list."""
    identity: str | None = None
    if options.action == "add":
        given = {"shapes": dict(options.shape), "platforms": options.platforms}
        chosen = {name: value for name, value in given.items() if value}
        with progress_bar("writing") as bar, interruptible(bar) as progress:
            identity = programs.add(
                options.location,
                options.kind,
                options.name,
                source=options.source,
                replace=options.replace,
                progress=progress,
                **chosen,
            )
    elif options.action == "remove":
        with progress_bar("writing") as bar, interruptible(bar) as progress:
            identity = programs.remove(options.location, options.name, progress=progress)
    found = [one.as_json() for one in programs.list(options.location)]
    document = {
        "format": "etui-programs",
        "version": SPEC_VERSION,
        "location": without_secrets(options.location),
        "identity": identity,
        "programs": found,
    }
    return Outcome(GOOD, document, lambda screen: _show(screen, document))


def _shape(text: str) -> tuple[str, list[int | str]]:
    name, equals, sizes = text.rpartition("=")
    if not equals or not name or not sizes:
        raise argparse.ArgumentTypeError(f"{text!r} is not INPUT=SIZES, such as image=1,224,224,3")
    return name, [int(size) if size.isdecimal() else size for size in map(str.strip, sizes.split(","))]


def _show(screen: Screen, document: dict[str, Any]) -> None:
    if document["identity"]:
        screen.fields([("identity", document["identity"])])
    if not document["programs"]:
        screen.line("no programs")
    for one in document["programs"]:
        kind = one["kind"] or f"of an unknown kind, {one['media_type']}"
        screen.line(f"{one['name']}: {kind}, {size_text(one['bytes'])}, {_state(one)}")
        for signature in one["signatures"]:
            if signature["name"]:
                screen.line(f"  {signature['name']}")
            rows = [
                [what, spec["name"], spec["dtype"] or "?", _sizes(spec["shape"])] for what, spec in _specs(signature)
            ]
            screen.table(["", "name", "dtype", "shape"], rows)


def _state(one: dict[str, Any]) -> str:
    if one["fault"]:
        return f"refused: {one['fault']}"
    effects = f"; it could do more than compute: {', '.join(one['effects'])}" if one["effects"] else ""
    return (f"stale: {one['stale']}" if one["stale"] else "current") + effects


def _specs(signature: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(what[:-1], spec) for what in ("inputs", "outputs") for spec in signature[what]]


def _sizes(shape: list[int | None] | None) -> str:
    if shape is None:
        return "?"
    return " × ".join("?" if size is None else str(size) for size in shape) or "scalar"
