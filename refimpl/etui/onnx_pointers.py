"""Where the initializers of ONNX programs point in the weights part, and pointing them when that is written anew.

Nothing of this needs the `onnx` package: of an ONNX model, its initializers are decoded, and all else stays as it is.
An initializer that is a tensor of the weights says so in its `metadata_props` (`TENSOR`); its external data names the
part, the first byte and the number of bytes for runtimes that know nothing of Etui (SPEC.md, annex T).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from etui.containers.data_writer import DataPlan, plan_data
from etui.containers.documents import DOCUMENTS
from etui.containers.pieces import Piece, Stored
from etui.errors import EtuiError
from etui.model import Blob, Model
from etui.storage.protobuf import Field, Message, Schema, decode, encode
from etui.storage.safetensors import plan

__all__ = ["MEDIA_TYPE", "TENSOR", "Place", "piece_name", "places_of", "pointed", "present_places", "with_pointers"]

MEDIA_TYPE = "application/onnx"
TENSOR = "etui.tensor"
_EXTERNAL = 1
_WEIGHTS = "weights.json"
# Of a program that is larger, someone has put numbers into the graph itself.
_MOST_BYTES = 256 * 2**20

_ENTRY = Schema("StringStringEntryProto", {1: Field("key", "string"), 2: Field("value", "string")})
_TENSOR = Schema(
    "TensorProto",
    {
        13: Field("external_data", "message", repeated=True, message=_ENTRY),
        14: Field("data_location", "int32"),
        16: Field("metadata_props", "message", repeated=True, message=_ENTRY),
    },
)
_GRAPH = Schema("GraphProto", {5: Field("initializer", "message", repeated=True, message=_TENSOR)})
_MODEL = Schema("ModelProto", {7: Field("graph", "message", message=_GRAPH)})


class Place(NamedTuple):
    """Where the bytes of a stored tensor are: the part, the first byte in it, and their number."""

    part: str
    offset: int
    length: int


def places_of(data: DataPlan) -> dict[str, Place]:
    """The place of each tensor of a document in the data parts that are planned for it, by its name in them."""
    found = {}
    for part, items in data.shards.items():
        layout = plan([(item.stored, item.dtype, item.piece.shape) for item in items])
        begin = len(layout.header)
        for name, entry in layout.entries.items():
            found[name] = Place(part, begin + entry.begin, entry.end - entry.begin)
    return found


def present_places(model: Model) -> dict[str, Place]:
    """The place of each tensor of the weights: where it lies, or will lie in an artifact that is saved in one piece.

    Where all weights lie in an artifact that is open, it is there that programs are put beside them.
    """
    weights = model.weights
    if weights is None:
        return {}
    found: dict[str, Place] = {}
    for path in weights:
        for name, plain in weights[path].tensor.physical(path):
            for piece in plain.pieces:
                source = piece.source
                if not isinstance(source, Stored):
                    document = DOCUMENTS[_WEIGHTS]
                    return places_of(plan_data(document.role, document.tensors(weights), None))
                entry = source.parts.locate(source.chunk, source.dtype, source.shape)
                begin = source.parts.header(source.chunk.part).size + entry.begin
                found[piece_name(name, piece)] = Place(source.chunk.part, begin, entry.end - entry.begin)
    return found


def piece_name(name: str, piece: Piece) -> str:
    """The name of a piece of a plain tensor in the data parts (W-11)."""
    return name if piece.offset is None else f"{name}@{','.join(map(str, piece.offset))}"


def pointed(main: bytes | memoryview, places: Mapping[str, Place]) -> bytes:
    """An ONNX model whose initializers point at where their tensors are; the bytes as they are where all do already.

    Args:
        main: the bytes of a model.
        places: stored tensor -> its place; an initializer of another tensor stays as it is.

    Raises:
        RejectError: of `etui.storage.protobuf.decode`, where these are no such bytes.
    """
    model = decode(_MODEL, main)
    graph = model["graph"]
    moved = False
    for tensor in graph["initializer"] if graph is not None else []:
        names = [entry["value"] for entry in tensor["metadata_props"] if entry["key"] == TENSOR]
        if len(names) != 1 or names[0] not in places:
            continue
        place = places[names[0]]
        texts = {"location": place.part, "offset": str(place.offset), "length": str(place.length)}
        data = [Message(_ENTRY, {"key": key, "value": text}) for key, text in texts.items()]
        if (tensor["external_data"], tensor["data_location"]) != (data, _EXTERNAL):
            tensor["external_data"], tensor["data_location"], moved = data, _EXTERNAL, True
    return encode(model) if moved else bytes(main)


def with_pointers(model: Model, plans: Mapping[str, DataPlan]) -> Model:
    """A model whose ONNX programs point into the weights as they are about to be written.

    A program that is not in the form of annex T stays as it is: whoever runs it will be told.
    """
    mains = [name for name, blob in model.programs.items() if _is_main(name, blob)]
    if not mains or _WEIGHTS not in plans:
        return model
    places = places_of(plans[_WEIGHTS])
    programs = dict(model.programs)
    for name in mains:
        before = programs[name].view()
        try:
            after = pointed(before, places)
        except EtuiError:
            continue
        if after != before:
            programs[name] = Blob.of(after, MEDIA_TYPE)
    return replace(model, programs=programs)


def _is_main(name: str, blob: Blob) -> bool:
    return name.endswith("/main.onnx") and blob.media_type == MEDIA_TYPE and blob.size <= _MOST_BYTES
