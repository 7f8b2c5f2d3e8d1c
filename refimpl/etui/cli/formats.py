"""List the known formats, and what each direction carries."""

from __future__ import annotations

import argparse

from etui import bridges
from etui._version import SPEC_VERSION
from etui.bridges import Bridge
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen


def arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: nothing."""


def run(_options: argparse.Namespace) -> Outcome:
    """List the registry."""
    document = {
        "format": "etui-formats",
        "version": SPEC_VERSION,
        "formats": [
            {
                "name": bridge.name,
                "title": bridge.title,
                "suffixes": list(bridge.suffixes),
                "reads": bridge.reads,
                "writes": bridge.writes,
                "extra": bridge.extra,
                "available": bridge.available,
            }
            for bridge in bridges.bridges()
        ],
    }
    return Outcome(GOOD, document, _show)


def _show(screen: Screen) -> None:
    for bridge in bridges.bridges():
        screen.line(f"{bridge.name}: {bridge.title} ({', '.join(bridge.suffixes)})")
        screen.fields([("  reads", bridge.reads), ("  writes", bridge.writes), ("  needs", _needs(bridge))])


def _needs(bridge: Bridge) -> str:
    if bridge.extra is None:
        return "nothing more"
    state = "installed" if bridge.available else "not installed"
    return f'pip install "etui[{bridge.extra}]" ({state})'
