"""`weights.json`: variables, their order, and aliases (SPEC.md chapter 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from etui_conformance.oracle import limits, names, tensor_index
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.tensor_index import Entry


@dataclass(frozen=True, slots=True)
class Weights:
    """What the index says.

    Attributes:
        variables: by path.
        aliases: from the other paths to variables.
    """

    variables: dict[str, Entry]
    aliases: dict[str, str]


def read(form: Form, tree: dict[str, Any]) -> Weights:
    """The weights of a document.

    Raises:
        Refusal: of the clauses of chapters 2, 12 and 18 as far as the document alone shows them.
    """
    form.fields(tree, form.part, required=("aliases", "format", "variables", "version"))
    at = pointer(form.part, "variables")
    check_index_size(form, tree["variables"], at)
    variables = {path: _read_variable(form, entry, place) for path, entry, place in form.entries(tree["variables"], at)}
    aliases = _read_aliases(form, tree["aliases"], variables.keys())
    names.check_collisions([*variables, *aliases], form.part)
    orders = sorted(entry["order"] for entry in tree["variables"].values())
    if orders != list(range(len(orders))):
        form.refuse(at, f"the orders are not 0 to {len(orders) - 1}, each once", "weights-order")
    return Weights(variables, aliases)


def check_index_size(form: Form, entries: Any, at: str) -> None:
    """Refuse an index of more tensors than chapter 19 allows."""
    if len(form.map(entries, at)) > limits.VARIABLES:
        raise Refusal("limit-variables", at, f"{len(entries)} entries")


def _read_variable(form: Form, tree: Any, at: str) -> Entry:
    form.fields(tree, at, required=("dtype", "order", "role", "shape", "trainable"), optional=tensor_index.FIELDS)
    form.natural(tree["order"], pointer(at, "order"))
    form.text(tree["role"], pointer(at, "role"), filled=True)
    form.flag(tree["trainable"], pointer(at, "trainable"))
    return tensor_index.read_entry(form, tree, at)


def _read_aliases(form: Form, value: Any, variables: Any) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for alias, target, at in form.entries(value, pointer(form.part, "aliases")):
        aliases[alias] = form.text(target, at)
        if alias in variables:
            form.refuse(at, "the path of a variable", "alias-target")
        if target not in variables:
            form.refuse(at, "its target is no variable", "alias-target")
    return aliases
