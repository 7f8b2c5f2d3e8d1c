"""Native documents: kept as they were, used while what was translated from them is unchanged, and never in force."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import Question, about_parts, check_content
from etui_conformance.checks.samples import Content
from etui_conformance.oracle import manifest, packed, reading, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.wire import new_path

_FORMAT = "keras-json"
_UNITS, _CHANGED, _OTHER = 2, 3, 5
_ZEROS = f"sha256:{'0' * 64}"


def checks() -> list[Check]:
    """The checks of native documents; those that need a format of such documents take the simplest one."""
    bridge = frozenset({"convert", f"format:{_FORMAT}", "packed", "config", "parts"})
    stale = "Writes the changed config in place of a native document that it was translated from before."
    asks: tuple[tuple[str, tuple[str, ...], frozenset[str], str, Callable[[Context], None]], ...] = (
        (
            "translated",
            ("N-1", "N-2", "CF-30"),
            bridge,
            "Binds a native document that it keeps, byte for byte, to the documents that it made of it.",
            _translated,
        ),
        (
            "fresh",
            ("N-3",),
            bridge,
            "Gives the model back while a native document is current.",
            partial(_back, "fresh"),
        ),
        ("stale", ("N-3", "N-4"), bridge, stale, partial(_back, "stale")),
        (
            "absent",
            ("N-3",),
            bridge,
            "Takes a native document for stale where a document that it is bound to is not there.",
            partial(_back, "absent"),
        ),
        (
            "unbound",
            ("N-5", "N-4"),
            bridge,
            "Does not use a native document without bindings.",
            partial(_back, "unbound"),
        ),
        (
            "in-force",
            ("N-4",),
            frozenset({"decode", "config", "training", "parts"}),
            "Gives the neutral documents, whatever a native document says.",
            _in_force,
        ),
    )
    return [Check(f"natives/{name}", clauses, needs, title, run) for name, clauses, needs, title, run in asks]


def _model(units: int) -> dict[str, Any]:
    layer = {
        "class_name": "Dense",
        "config": {"activation": "relu", "name": "d", "units": units},
        "module": "keras.layers",
        "registered_name": None,
    }
    config = {"layers": [layer], "name": "s"}
    return {"class_name": "Sequential", "config": config, "module": "keras", "registered_name": None}


def _text(units: int) -> bytes:
    """The native document, with white space that no writer would choose."""
    return json.dumps(_model(units), indent=3).encode() + b"\n "


def converted(context: Context, source: Path, to: str, target: Path) -> Question:
    """Have a file converted into another.

    Raises:
        Mismatch: it is not, or nothing is there.
    """
    fields = {"source": str(source), "to": to, "path": str(target)}
    question = Question(context.session, "convert", fields, {source.name: source.read_bytes()})
    question.accepted()
    if not target.is_file():
        raise question.mismatch("convert said ok and wrote nothing", "a file", "none")
    return question


def read_artifact(question: Question, path: Path) -> tuple[dict[str, bytes], Content]:
    """The parts and the content of an artifact in packed form that an implementation wrote.

    Raises:
        Mismatch: it wrote none.
    """
    try:
        parts = packed.unpack(path.read_bytes())
        return parts, reading.read(parts)
    except Refusal as refusal:
        raise question.mismatch(f"what {question.op} wrote is no artifact", "an artifact", str(refusal)) from None


def _translate(context: Context) -> tuple[Question, dict[str, bytes], Content]:
    """What the implementation makes of the native document."""
    source, target = new_path(context.folder, ".json"), new_path(context.folder, ".etui")
    source.write_bytes(_text(_UNITS))
    question = converted(context, source, "etui", target)
    return question, *read_artifact(question, target)


def _translated(context: Context) -> None:
    question, parts, content = _translate(context)
    for name, part in content.get("parts", {}).items():
        if part["role"] != "native":
            continue
        if part["data"] != _text(_UNITS):
            raise question.mismatch(f"{name} is not the document that was read", _text(_UNITS), part["data"])
        expected = {bound: manifest.digest(parts[bound]) if bound in parts else None for bound in part["bindings"]}
        if part["bindings"] != expected or not expected:
            raise question.mismatch(f"{name} is not bound to what was made of it", expected, part["bindings"])


def _back(case: str, context: Context) -> None:
    """Bring an artifact with a native document back; which number of units comes out tells what was used."""
    question, parts, content = _translate(context)
    native = {"role": "native", "media_type": "application/json", "framework": "keras", "framework_version": None}
    names = [name for name, part in content.get("parts", {}).items() if part["role"] == "native"]
    fresh = {"config.json": manifest.digest(parts["config.json"])}
    units, bindings = {
        "fresh": (_UNITS, fresh),
        "stale": (_CHANGED, fresh),
        "absent": (_CHANGED, {**fresh, "training.json": _ZEROS}),
        "unbound": (_CHANGED, {}),
    }[case]
    if units != _UNITS and not _set_units(content["config"]["model"], units):
        raise question.mismatch("the config does not hold the units of a layer", _UNITS, content["config"])
    if case == "absent":
        digest = manifest.digest(writing.write({"config": content["config"]})["config.json"])
        bindings = {**bindings, "config.json": digest}
    data = _text(_UNITS)
    content["parts"] = {
        name: {**native, "data": data, "bindings": bindings} for name in names or ["native/keras/model.json"]
    }
    source, target = new_path(context.folder, ".etui"), new_path(context.folder, ".json")
    source.write_bytes(packed.pack(writing.write(content)))
    question = converted(context, source, _FORMAT, target)
    try:
        found = json.loads(target.read_bytes())["config"]["layers"][0]["config"]["units"]
    except (ValueError, LookupError, TypeError) as trouble:
        raise question.mismatch("convert wrote no model of one layer", _model(units), str(trouble)) from None
    if found != units:
        raise question.mismatch(f"convert wrote another layer than the config has ({case})", units, found)


def _set_units(module: Any, units: int) -> bool:
    """Change the units in the attributes of the first module that has them."""
    attrs = module.get("attrs", {})
    if "units" in attrs:
        attrs["units"] = units
        return True
    return any(_set_units(child, units) for child in module.get("modules", ()))


def _in_force(context: Context) -> None:
    """The native document is current, and says another name, another class and another loss."""
    attrs = {"units": _UNITS, "activation": "relu"}
    content: Content = samples.config(name="mine", op="keras:Dense", attrs=attrs)
    content["training"] = samples.training(loss="mse")
    parts = writing.write(content)
    bindings = {role: manifest.digest(parts[f"{role}.json"]) for role in ("config", "training")}
    said = {**_model(_OTHER), "name": "theirs", "attrs": {"units": _OTHER}, "loss": "mae"}
    native = samples.native(json.dumps(said).encode(), **bindings)
    content["parts"] = {
        "native/keras/config.json": {**native, "framework": "keras"},
        "native/other/config.json": native,
    }
    parts = writing.write(content)
    for form in sorted(context.session.hello.artifact_forms):
        question = about_parts(context.session, "decode", parts, form, want="all")
        check_content(question, question.accepted(), content, context.session.hello.areas)
