"""The program of a SavedModel: its graphs as they are, with what is needed to put variables below them (annex G.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.tensorflow.saved_model.graph import shape_of
from etui.canonical import json
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.storage.protobuf import Message
from etui.storage.tf_bundle import BundleTensor
from etui.storage.tf_bundle_form import DTYPES

NAME = "saved_model"
FOLDER = f"programs/{NAME}/"
MAIN, METADATA, KEPT, INDEX = (FOLDER + name for name in ("main.pb", "keras_metadata.pb", "kept.pb", "program.json"))
MEDIA_TYPE = "application/vnd.tensorflow.saved-model"
FORMAT, VERSION = "etui-saved-model", "1.0"
_ASSETS = "assets/"
_PLACE, _KINDS = frozenset({"as", "name", "dtype", "shape"}), ("layout", "path", "rate")
_FIELDS = frozenset({"format", "version", "config", "compiled", "tensors", "assets", "signatures", "effects"})


@dataclass(slots=True)
class Program:
    """What `program.json` says.

    Attributes:
        tensors: key of the bundle -> where its values are in the neutral model: `as` is ``layout`` with the `name` in
            the layout for a model of Keras, ``path`` with a variable's for another, or ``rate``, the optimizer's
            learning rate; and the `dtype` and `shape` that the graphs take.
        config: the digest that `config.json` had; `None` where the model has none.
        compiled: the digest of the compile config in Keras' form; `None` where the model was not compiled.
        assets: path in the folder -> name of the part.
        signatures: name -> inputs and outputs, each with dtype and shape.
        effects: operations that can run code or reach files.
    """

    tensors: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: str | None = None
    compiled: str | None = None
    assets: dict[str, str] = field(default_factory=dict)
    signatures: dict[str, Any] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)

    def place(self, tensor: BundleTensor, kind: str, name: str) -> None:
        """Say where the values of a tensor of the bundle are."""
        place = {"as": kind, "name": name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
        self.tensors.setdefault(tensor.name, place)

    def encode(self) -> bytes:
        """The bytes of `program.json`, canonical."""
        tree = {name: getattr(self, name) for name in _FIELDS - {"format", "version"}}
        return json.encode({"format": FORMAT, "version": VERSION, **tree})


def read_program(model: Model, limits: Limits) -> Program | None:
    """The program of a model, if it has one of this kind.

    Raises:
        RejectError: of canonical JSON; ``savedmodel-program``, a part that is not there or not of its form.
    """
    main = model.programs.get(MAIN)
    if main is None or main.media_type != MEDIA_TYPE:
        return None
    index = model.programs.get(INDEX)
    if index is None:
        raise error("savedmodel-program", where=INDEX, found="no such part")
    if index.size > limits.document_bytes:
        raise error("limit-document", where=INDEX, found=f"{index.size} bytes")
    tree = json.decode(index.view(), where=INDEX, limits=limits)
    if tree.get("format") != FORMAT or tree.get("version") != VERSION or tree.keys() != _FIELDS:
        raise error("savedmodel-program", where=INDEX, found=f"the fields {shown(sorted(tree))}")
    program = Program(**{name: tree[name] for name in _FIELDS - {"format", "version"}})
    if not _is_sound(program):
        raise error("savedmodel-program", where=INDEX, found="a field of another form")
    return program


def _is_sound(program: Program) -> bool:
    fields: list[Any] = [program.tensors, program.assets, program.signatures]
    effects: Any = program.effects
    if not (isinstance(effects, list) and all(isinstance(found, dict) for found in fields)):
        return False
    texts: list[Any] = [*program.assets.values(), program.config or "", program.compiled or ""]
    places: list[Any] = list(program.tensors.values())
    # Elsewhere, a file could take the place of the graphs.
    if not all(path.startswith(_ASSETS) and ".." not in path.split("/") for path in program.assets):
        return False
    return all(isinstance(text, str) for text in texts) and all(map(_is_place, places))


def _is_place(place: Any) -> bool:
    return isinstance(place, dict) and place.keys() == _PLACE and place["as"] in _KINDS


def signatures_of(model: Model, limits: Limits) -> dict[str, Any]:
    """The signatures that a model's SavedModel program serves; none where it has no such program."""
    program = read_program(model, limits)
    return {} if program is None else program.signatures


def read_signatures(entries: Iterable[Message]) -> dict[str, Any]:
    """The signatures of a MetaGraph as data: names, and of each tensor its dtype and shape.

    A dimension that is not fixed is null, and so is the shape where the rank is not.
    """
    found = {}
    for entry in entries:
        signature = entry["value"]
        if signature is not None and not entry["key"].startswith("__"):
            found[entry["key"]] = {
                "inputs": _tensors(signature["inputs"]),
                "outputs": _tensors(signature["outputs"]),
                "method": signature["method_name"],
            }
    return found


def _tensors(entries: Iterable[Message]) -> dict[str, Any]:
    found = {}
    for entry in entries:
        info = entry["value"]
        if info is not None:
            shape = shape_of(info["tensor_shape"])
            sizes = None if shape is None else [None if size < 0 else size for size in shape]
            found[entry["key"]] = {"dtype": DTYPES.get(info["dtype"], str(info["dtype"])), "shape": sizes}
    return found


def program_parts(main: Blob, metadata: bytes | None, kept: bytes, program: Program) -> dict[str, Blob]:
    """The parts of a program."""
    parts = {MAIN: main, KEPT: Blob.of(kept), INDEX: Blob.of(program.encode())}
    if metadata is not None:
        parts[METADATA] = Blob.of(metadata)
    return dict(sorted(parts.items()))
