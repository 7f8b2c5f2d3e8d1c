"""What ties a program to the model that it was made of: `program.json` (SPEC.md, annex T).

A program computes what the config said when it was made, with the variables that the document names. It is stale once
the config is another, or a variable is not there any more with its dtype and shape; one whose values are in the program
itself is bound to the weights, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etui import dtypes
from etui.canonical import json
from etui.errors import RejectError, error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.programs.facts import Signature, Spec

MEDIA_TYPE = "application/vnd.etui.program+json"
FORMAT, VERSION = "etui-program", "1.0"
_FIELDS = frozenset({"format", "version", "config", "weights", "variables", "inputs", "outputs"})
_CONFIG, _WEIGHTS = "config.json", "weights.json"


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable as a program takes it."""

    path: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """What `program.json` says.

    Attributes:
        config: the digest that the config had; `None` where the model had none.
        weights: the digest that the weights had; `None` for a program that takes their values when it is run.
        variables: that the program takes, in the order in which it takes them.
        signature: the inputs and outputs.
    """

    config: str | None
    weights: str | None
    variables: Sequence[Bound]
    signature: Signature

    def encode(self) -> bytes:
        """The bytes of `program.json`, canonical."""
        variables = [{"path": one.path, "dtype": one.dtype, "shape": list(one.shape)} for one in self.variables]
        tree: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "config": self.config,
            "weights": self.weights,
            "variables": variables,
            "inputs": [spec.as_json() for spec in self.signature.inputs],
            "outputs": [spec.as_json() for spec in self.signature.outputs],
        }
        return json.encode(tree)

    def blob(self) -> Blob:
        """The part."""
        return Blob.of(self.encode(), MEDIA_TYPE)

    def stale(self, model: Model) -> str:
        """Why the program is not one of the model as it is now; empty where it is."""
        if model.fingerprint(_CONFIG) != self.config:
            return "config.json is not the one that the program was made of"
        if self.weights is not None and model.fingerprint(_WEIGHTS) != self.weights:
            return "weights.json is not the one that the program was made of"
        for one in self.variables:
            if model.weights is None or one.path not in model.weights:
                return f"the variable {shown(one.path)} is not there any more"
            found = model.weights[one.path]
            if (found.dtype, tuple(found.shape)) != (one.dtype, one.shape):
                now = f"{found.dtype}{list(found.shape)}"
                return f"the variable {shown(one.path)} is {now} now, not {one.dtype}{list(one.shape)}"
        return ""


def index_name(name: str) -> str:
    """The part that binds a program."""
    return f"programs/{name}/program.json"


def read_binding(model: Model, name: str, limits: Limits) -> Binding:
    """The binding of a program.

    Raises:
        RejectError: ``program-form``; ``limit-document``; a code of canonical JSON.
    """
    where = index_name(name)
    part = model.programs.get(where)
    if part is None:
        raise error("program-form", where=where, found="no such part")
    if part.media_type != MEDIA_TYPE:
        raise error("program-form", where=where, found=f"the media type {shown(part.media_type)}")
    if part.size > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{part.size} bytes")
    return _decoded(json.decode(part.view(), where=where, limits=limits), where, limits)


def _decoded(tree: Mapping[str, Any], where: str, limits: Limits) -> Binding:
    if tree.get("format") != FORMAT or tree.get("version") != VERSION or tree.keys() != _FIELDS:
        raise error("program-form", where=where, found=f"the fields {shown(sorted(tree))} of another form")
    texts = {name: tree[name] for name in ("config", "weights")}
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise error("program-form", where=where, found=f"{name}, which is {shown(text)}")
    variables = [_bound(item, where, limits) for item in _items(tree, "variables", where)]
    inputs = [_spec(item, where, limits) for item in _items(tree, "inputs", where)]
    outputs = [_spec(item, where, limits) for item in _items(tree, "outputs", where)]
    for kind, names in (
        ("variables", [one.path for one in variables]),
        ("inputs", [one.name for one in inputs]),
        ("outputs", [one.name for one in outputs]),
    ):
        if len(set(names)) != len(names):
            raise error("program-form", where=where, found=f"{kind} with a name twice")
    return Binding(texts["config"], texts["weights"], variables, Signature(inputs, outputs))


def _items(tree: Mapping[str, Any], name: str, where: str) -> list[Any]:
    items = tree[name]
    if not isinstance(items, list):
        raise error("program-form", where=where, found=f"{name}, which is no list")
    return items


def _bound(item: Any, where: str, limits: Limits) -> Bound:
    if not isinstance(item, dict) or item.keys() != {"path", "dtype", "shape"} or not isinstance(item["path"], str):
        raise error("program-form", where=where, found=f"the variable {shown(item)}")
    try:
        shape = dtypes.check_shape(item["shape"], where, limits)
        return Bound(item["path"], dtypes.by_name(item["dtype"], where).name, shape)
    except RejectError as cause:
        raise error("program-form", where=where, found=f"the variable {shown(item)}") from cause


def _spec(item: Any, where: str, limits: Limits) -> Spec:
    if isinstance(item, dict) and item.keys() == {"name", "dtype", "shape"} and isinstance(item["name"], str):
        dtype, shape = item["dtype"], item["shape"]
        sizes = shape is None or (
            isinstance(shape, list)
            and len(shape) <= limits.rank
            and all(size is None or (type(size) is int and size >= 0) for size in shape)
        )
        if sizes and (dtype is None or (isinstance(dtype, str) and dtype in dtypes.DTYPES)):
            return Spec(item["name"], dtype, None if shape is None else tuple(shape))
    raise error("program-form", where=where, found=f"the input or output {shown(item)}")
