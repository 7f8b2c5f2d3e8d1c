"""Show what is in a model of any known format, without reading its tensors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from etui import conversion
from etui.cli.inspection import inspect_model
from etui.cli.isolating import isolation_argument
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, size_text
from etui.errors import without_secrets
from etui.report import Report

Json = Any

_TEXT = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="a file or folder of any known format")
    parser.add_argument("--tensors", action="store_true", help="list everything, not the first few of each kind")
    isolation_argument(parser)


def run(options: argparse.Namespace) -> Outcome:
    """Open and describe."""
    report = Report()
    with progress_bar("reading") as progress:
        model, bridge = conversion.read(
            options.location, report=report, isolate=not options.no_isolate, progress=progress
        )
    with model:
        where = without_secrets(options.location)
        document = inspect_model(model, bridge, report, where, model.form, full=options.tensors)
    return Outcome(GOOD, document, lambda screen: _show(screen, document))


def _show(screen: Screen, found: Json) -> None:
    screen.fields([(name, value) for name, value in _facts(found)])
    for title, columns, listing, row in _tables(found):
        if not listing["count"]:
            continue
        screen.line()
        screen.line(f"{title} ({listing['count']:,})")
        screen.table(columns, [row(item) for item in listing["listed"]])
        more = listing["count"] - len(listing["listed"])
        if more:
            screen.line(f"  … and {more:,} more; --tensors lists all")


def _facts(found: Json) -> Iterator[tuple[str, str]]:
    yield "location", found["location"]
    yield "format", found["source"]["title"]
    if found["artifact"]:
        yield from _artifact_facts(found["artifact"])
    if found["config"]:
        config = found["config"]
        yield "model", f"{config['name']}: {config['op']}, {counted(config['modules']['count'], 'module')}"
    if found["weights"]:
        yield "weights", _weights_fact(found["weights"])
    for name, value in (found["training"] or {}).items():
        yield f"training {name}", _text(value)
    for optimizer in found["optimizers"] or ():
        yield from _optimizer_facts(optimizer)
    for name, value in (found["state"] or {}).items():
        if value:
            yield f"state {name}", _text(value)


def _artifact_facts(artifact: Json) -> Iterator[tuple[str, str]]:
    yield "identity", artifact["identity"]
    yield "form", f"{artifact['form']}, {counted(artifact['parts']['count'], 'part')}, {size_text(artifact['bytes'])}"
    requires = ", ".join(artifact["requires"])
    yield (
        "profile",
        f"{artifact['profile']}, version {artifact['version']}{f', requires {requires}' if requires else ''}",
    )
    if artifact["metadata"]:
        yield "metadata", _text(artifact["metadata"])


def _weights_fact(weights: Json) -> str:
    dtypes = ", ".join(f"{count} {name}" for name, count in weights["dtypes"].items())
    count, trainable = weights["parameters"], weights["trainable_parameters"]
    return f"{count:,} parameters, {trainable:,} of them trainable, {size_text(weights['bytes'])} ({dtypes})"


def _optimizer_facts(optimizer: Json) -> Iterator[tuple[str, str]]:
    place = optimizer["place"]
    rate = "" if optimizer["learning_rate"] is None else f", learning rate {_text(optimizer['learning_rate'])}"
    yield place, f"{optimizer['algorithm']}, step {optimizer['step']:,}{rate}"
    slots = [f"{count} {name}" for name, count in optimizer["slots"].items()]
    fresh = [f"{counted(optimizer['fresh'], 'variable')} without yet"] if optimizer["fresh"] else []
    if slots or fresh:
        yield f"{place} slots", ", ".join([*slots, *fresh, size_text(optimizer["bytes"])])
    if optimizer["schedule"]:
        yield f"{place} schedule", optimizer["schedule"]
    yield f"{place} settings", _text(optimizer["hyperparameters"])


def _tables(found: Json) -> Iterator[tuple[str, list[str], Json, Any]]:
    """Title, columns, the listing, and what makes a row of an item."""
    if found["artifact"]:
        columns = ["part", "role", ">size"]
        yield "Parts", columns, found["artifact"]["parts"], lambda p: [p["name"], p["role"], size_text(p["size"])]
    if found["config"]:
        yield "Modules", ["module", "op", "variables"], found["config"]["modules"], _module_row
    if found["weights"]:
        columns = ["variable", "role", "dtype", "shape", "trainable"]
        yield "Variables", columns, found["weights"]["variables"], _variable_row
        yield "Aliases", ["path", "shares"], found["weights"]["aliases"], lambda a: [a["path"], a["of"]]
    columns = ["tensor", "dtype", "shape"]
    yield "Other tensors", columns, found["tensors"], lambda t: [t["name"], t["dtype"], _shape(t["shape"])]
    yield "Assets", ["asset", ">size"], found["assets"], lambda a: [a["name"], size_text(a["size"])]
    yield "Native documents", ["document", "framework", "current", ">size"], found["native"], _native_row
    columns = ["kind", "item", "what became of it"]
    yield "Not read", columns, found["not_read"], lambda e: [e["kind"], e["subject"], f"{e['status']} {e['detail']}"]


def _module_row(module: Json) -> list[str]:
    depth = module["path"].count("/") + 1 if module["path"] else 0
    op = module["op"] or f"the same as {module['target']}"
    kind = "" if module["kind"] in ("layer", "shared") else f" ({module['kind']})"
    names = [path.rpartition("/")[2] for path in islice(module["variables"], 8)]
    more = len(module["variables"]) - len(names)
    return ["  " * depth + module["name"], op + kind, ", ".join(names) + (f" and {more} more" if more else "")]


def _variable_row(variable: Json) -> list[str]:
    encoding = " (quantized)" if variable["encoding"] == "quantized" else ""
    trainable = "yes" if variable["trainable"] else "no"
    return [variable["path"], variable["role"], variable["dtype"] + encoding, _shape(variable["shape"]), trainable]


def _native_row(native: Json) -> list[str]:
    framework = f"{native['framework']} {native['framework_version'] or ''}"
    return [native["name"], framework, "yes" if native["current"] else "no", size_text(native["size"])]


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


def _text(value: Json) -> str:
    """A JSON value as one short text; tagged floats are their digits."""
    if isinstance(value, dict) and value.keys() == {"$float"}:
        return str(float(value["$float"]))
    if isinstance(value, dict) and value.keys() == {"$object"}:
        text = f"{value['$object']['class']}({_text(value['$object']['config'])})"
    elif isinstance(value, dict):
        text = ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    elif isinstance(value, list):
        text = ", ".join(map(_text, value))
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
