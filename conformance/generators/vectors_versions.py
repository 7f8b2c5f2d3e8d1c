"""Vectors of versions and of further fields (SPEC.md chapter 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vectors_contents import (
    call,
    config,
    f32,
    graph,
    joined,
    layer,
    optimizer,
    output,
    part,
    state,
    stored,
    training,
    weights,
)
from vectors_kit import Area
from vectors_parts import CONFIG, KINDS, MANIFEST, OPTIMIZER, STATE, TRAINING, WEIGHTS, Edit, Parts, drop, edited, put

_ALL = ("config", "weights", "training", "optimizer", "state")
_MINOR = "1.7"
_ASSET = "assets/a"


def area() -> Area:
    """The vectors."""
    found = Area("versions", *_ALL)
    base = found.valid("every document in the version 1.0", "Q-4 Q-7", _content("1.0", {}))
    extended = {"x-note": {"$any": [0.5, {"a": None}], "n": 1}}
    found.valid(
        "fields that begin with x-, everywhere",
        "Q-7 Q-8",
        _content("1.0", extended),
        layout=_noted(extended),
        encodes=False,
    )
    later = {"later": {"$any": [1, "two"]}, "x-note": True}
    found.valid(
        "a higher minor version with fields that 1.0 does not know",
        "Q-6",
        _content(_MINOR, later),
        layout=_noted(later | {"version": _MINOR}),
        encodes=False,
    )
    only = joined(weights({"k": f32([1], 1)}, version="1.10"))
    found.valid("the minor version 10", "Q-6", only, layout=_versioned("1.10"), encodes=False, subject=["weights"])
    plain = found.valid("an index alone", "Q-4 Q-5", weights({"k": f32([1], 1)}), subject=["weights"])
    for version in ("2.0", "0.1", "10.0"):
        found.change(
            plain, f"the version {version} of every document", "Q-5", "version-unsupported", _everywhere(version)
        )
    for document in KINDS:
        rows = _version_faults(document)
        found.faults(base, document, rows if document in (MANIFEST, WEIGHTS) else rows[:3])
    unknown: list[tuple[str, str, Edit]] = [
        (MANIFEST, "an unknown field of the manifest", put(1, "later")),
        (CONFIG, "an unknown field of a config", put(1, "later")),
        (WEIGHTS, "an unknown field of an index", put(1, "later")),
        (TRAINING, "an unknown field of training", put(1, "later")),
        (OPTIMIZER, "an unknown field of optimizers", put(1, "later")),
        (STATE, "an unknown field of state", put(1, "later")),
        (WEIGHTS, "a field that begins with X-", put(1, "X-note")),
        (CONFIG, "a field that begins with x and an underscore", put(1, "model", "x_note")),
        (STATE, "a field that begins with extra-", put(1, "extra-note")),
    ]
    for document, name, edit in unknown:
        found.fault(base, document, (name, "Q-7", f"{KINDS[document]}-form", edit))
    return found


def _content(version: str, more: dict[str, Any]) -> dict[str, Any]:
    """Every document, with further fields wherever a document may have some."""
    calls = [call("a", "a"), call("b", "a", output("a")) | more]
    inner = graph("inner", [layer("a") | more], calls, inputs=[output("a")], outputs=[output("b")])
    inner["graph"] |= more
    model = layer("m", modules=[inner], params={"kernel": "k"}) | more
    sgd: dict[str, Any] = {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 1, "step": 1}
    sgd |= {"groups": [{"variables": ["k"]} | more], "slots": {"k": {"m": stored("optimizer/slots/k/m")}}} | more
    momentum = optimizer({"optimizer/slots/k/m": f32([1], 2)}, {"optimizer": sgd}, version=version, **more)
    momentum["optimizer"]["tensors"]["optimizer/slots/k/m"] |= more
    rng = {"g": {"algorithm": "example:G", "state": stored("rng/g/state")} | more}
    kept = state({"rng/g/state": f32([1], 3)}, rng=rng, version=version, **more)
    kept["state"]["tensors"]["rng/g/state"] |= more
    return joined(
        config(model, version=version, **more),
        weights({"k": (f32([1], 1), more)}, version=version, **more),
        training(loss="mse", version=version, **more),
        momentum,
        kept,
        parts={_ASSET: part("asset", b"a")},
    )


def _noted(fields: dict[str, Any]) -> Callable[[Parts], Parts]:
    """Further fields of the manifest and of its entries, which a content does not show and a rewrite keeps."""
    entry = {name: item for name, item in fields.items() if name != "version"}

    def edit(tree: dict[str, Any]) -> None:
        tree |= fields
        tree["parts"][_ASSET] |= entry
        tree["parts"][CONFIG] |= entry

    return lambda parts: edited(parts, MANIFEST, edit)


def _versioned(version: str) -> Callable[[Parts], Parts]:
    return lambda parts: edited(parts, MANIFEST, put(version, "version"))


def _everywhere(version: str) -> Callable[[Parts], None]:
    """Another version in every document."""

    def change(parts: Parts) -> None:
        for document in (name for name in (WEIGHTS, MANIFEST) if name in parts):
            parts |= edited(parts, document, put(version, "version"))

    return change


def _version_faults(document: str) -> list[tuple[str, str, str, Edit]]:
    form = "version-form"
    return [
        (f"another version of {document} than of the others", "Q-4", form, put("1.1", "version")),
        (f"the next major version of {document}", "Q-5", f"version-unsupported|{form}", put("2.0", "version")),
        (f"{document} without a version", "Q-4", form, drop("version")),
        (f"a version of {document} that is a number", "Q-4", form, put(1, "version")),
        (f"a version of {document} that is a float", "Q-4", form, put(1.5, "version")),
        (f"a version of {document} with a zero in front", "Q-4", form, put("1.00", "version")),
        (f"a version of {document} of three numbers", "Q-4", form, put("1.0.0", "version")),
        (f"a version of {document} of one number", "Q-4", form, put("1", "version")),
        (f"a version of {document} with a letter", "Q-4", form, put("v1.0", "version")),
        (f"a version of {document} with a newline", "Q-4", form, put("1.0\n", "version")),
        (f"the version 0 of {document}", "Q-5", f"version-unsupported|{form}", put("0.9", "version")),
        (f"the version 10 of {document}", "Q-5", f"version-unsupported|{form}", put("10.0", "version")),
    ]
