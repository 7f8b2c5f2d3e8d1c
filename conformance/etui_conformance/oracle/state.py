"""`state.msgpack`, by its JSON view: counters, generators, metrics and the caller's own values (SPEC.md chapter 16)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etui_conformance.oracle import stored
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.optimizer import check_stored, read_index
from etui_conformance.oracle.tensor_index import Entry

FIELDS = ("counters", "data", "metrics", "residue", "rng", "user")


def read(form: Form, tree: dict[str, Any]) -> dict[str, Entry]:
    """The tensors of a document.

    Raises:
        Refusal: of the clauses R-1 to R-4.
    """
    form.fields(tree, form.part, required=("format", "tensors", "version"), optional=FIELDS)
    index = read_index(form, tree["tensors"])
    if "counters" in tree:
        at = pointer(form.part, "counters")
        for name, count in form.value_map(tree["counters"], at, filled=True).items():
            form.count(count, pointer(at, name))
    for name in (name for name in ("data", "user") if name in tree):
        form.value_map(tree[name], pointer(form.part, name), filled=True)
    if "metrics" in tree:
        for _, metric, at in form.entries(tree["metrics"], pointer(form.part, "metrics"), filled=True):
            form.value_map(metric, at)
    if "residue" in tree:
        form.residue(tree["residue"], pointer(form.part, "residue"))
    if "rng" in tree:
        for _, generator, at in form.entries(tree["rng"], pointer(form.part, "rng"), filled=True):
            form.fields(generator, at, required=("algorithm", "state"))
            if form.op(generator["algorithm"], pointer(at, "algorithm")).startswith("core:"):
                # Annexes J and K define no generator (C-9).
                raise Refusal("op-unknown", pointer(at, "algorithm"), f"the algorithm {generator['algorithm']!r}")
            check_stored(form, generator["state"], pointer(at, "state"))
    stored.check(form, _places(tree), index)
    return index


def _places(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The references of a state to tensors, in the fields of version 1.0."""
    for name in ("data", "residue", "user"):
        yield from stored.places(tree.get(name), (name,))
    yield from stored.places_in(tree.get("metrics", {}), ("metrics",), paths=True)
    for path, generator in tree.get("rng", {}).items():
        yield from stored.places(generator["state"], ("rng", path, "state"))
