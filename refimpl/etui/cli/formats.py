"""List the known formats, and what each direction carries."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from etui import bridges
from etui._version import SPEC_VERSION
from etui.bridges import PARTS, Bridge
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen

_CELLS = {(True, True): "rw", (True, False): "r", (False, True): "w", (False, False): "-"}
_UNTOLD = "?"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("name", metavar="FORMAT", nargs="?", help="say more about this format")


def run(options: argparse.Namespace) -> Outcome:
    """List the registry, or one format of it."""
    found = bridges.bridges() if options.name is None else (bridges.by_name(options.name),)
    document = {"format": "etui-formats", "version": SPEC_VERSION, "formats": list(map(_as_json, found))}
    return Outcome(GOOD, document, _table if options.name is None else lambda screen: _details(screen, found[0]))


def _as_json(bridge: Bridge) -> dict[str, object]:
    return {
        "name": bridge.name,
        "title": bridge.title,
        "suffixes": list(bridge.suffixes),
        "folder": bridge.folder,
        "reads": bridge.reads,
        "writes": bridge.writes,
        "read_parts": _sorted(bridge.read_parts),
        "write_parts": _sorted(bridge.write_parts),
        "takes_config": bridge.takes_config,
        "options": sorted(bridge.options),
        "extra": bridge.extra,
        "available": bridge.available,
    }


def _sorted(parts: frozenset[str] | None) -> list[str] | None:
    """In the order of the table."""
    return None if parts is None else [part for part in PARTS if part in parts]


def _table(screen: Screen) -> None:
    """A line for each format: what is read and written of it; then what is missing for some."""
    known = bridges.bridges()
    screen.table(["format", *PARTS], [[bridge.name, *_cells(bridge)] for bridge in known], tight=True)
    screen.line()
    screen.line("r read, w written, - not in the format. `etui formats FORMAT` says more.")
    missing: dict[str, list[str]] = {}
    for bridge in known:
        if not bridge.available and bridge.extra is not None:
            missing.setdefault(bridge.extra, []).append(bridge.name)
    for extra, names in missing.items():
        screen.line(f'{", ".join(names)}: needs pip install "etui[{extra}]"')


def _cells(bridge: Bridge) -> Iterator[str]:
    for part in PARTS:
        if bridge.read_parts is None or bridge.write_parts is None:
            yield _UNTOLD
        else:
            yield _CELLS[part in bridge.read_parts, part in bridge.write_parts]


def _files(bridge: Bridge) -> str:
    return ", ".join([*bridge.suffixes, *(["a folder"] if bridge.folder else [])]) or "of any name"


def _details(screen: Screen, bridge: Bridge) -> None:
    screen.line(f"{bridge.name}: {bridge.title}")
    pairs = [("  files", _files(bridge)), ("  reads", bridge.reads), ("  writes", bridge.writes)]
    if bridge.takes_config:
        pairs.append(("  config", "taken from another file with --config FILE"))
    if bridge.options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(bridge.options))
        pairs.append(("  options", named))
    screen.fields([*pairs, ("  needs", _needs(bridge))])
    if bridge.read_parts is not None and bridge.write_parts is not None:
        screen.line()
        rows = zip(PARTS, _cells(bridge), PARTS.values(), strict=True)
        screen.table(["part", "", "what it is"], rows)


def _needs(bridge: Bridge) -> str:
    if bridge.extra is None:
        return "nothing more"
    state = "installed" if bridge.available else "not installed"
    return f'pip install "etui[{bridge.extra}]" ({state})'
