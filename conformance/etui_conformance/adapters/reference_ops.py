"""What the reference library does for each request of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from etui import __version__, dtypes
from etui.artifact import open_model, save_model
from etui.bridges import Bridge
from etui.canonical import json, msgpack
from etui.canonical.values import AssetRef, ModuleRef, OutputRef, StoredTensor, references
from etui.containers import manifest
from etui.containers.config import Config
from etui.containers.data_parts import DataPart, DataParts
from etui.containers.documents import DOCUMENTS
from etui.containers.tensors import Tensor
from etui.contents import contents
from etui.core.check import check as check_core
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS
from etui.model import Model
from etui.storage import open_artifact
from etui.storage.part_names import MANIFEST, role_of
from etui.verification import verify
from etui_conformance.adapters import reference_series
from etui_conformance.adapters.reference_content import AREAS, content_of, model_of
from etui_conformance.adapters.reference_wire import Json, MessageError, Wire

Request = Mapping[str, Json]
_PROTOCOL = "1.0"
_OPS = ("decode", "encode", "transcode", "validate", "convert", "evaluate", "step", "compute")
_OPTIONS = frozenset({"strict", "native", "shard_size", "form", "dialect", "vocabulary", "config"})


class NotSupported(Exception):  # noqa: N818 (an answer, not an error)
    """The request needs what the adapter does not do."""


class Ops:
    """The ops by their names; between requests it keeps nothing but where files go."""

    def __init__(self) -> None:
        self._wire = Wire()

    def named(self, name: str) -> Callable[[Request], dict[str, Json]] | None:
        """The function of an op, or `None`."""
        return getattr(self, f"_{name}") if name in {"hello", "reset", "bye", *_OPS} else None

    def turn(self) -> None:
        """To be called when a request has been answered: what was kept for it is let go of."""
        self._wire.turn()

    def _hello(self, request: Request) -> dict[str, Json]:
        from etui import bridges

        if str(request.get("protocol", _PROTOCOL)).partition(".")[0] != _PROTOCOL.partition(".")[0]:
            raise NotSupported(f"protocol:{request['protocol']}")
        if "folder" in request:
            self._wire.folder = Path(request["folder"])
        return {
            "name": "etui",
            "version": __version__,
            "language": "Python",
            "ops": list(_OPS),
            "areas": list(AREAS),
            "forms": ["packed", "directory", "series"],
            "features": sorted(manifest.FEATURES),
            "dtypes": list(dtypes.DTYPES),
            "formats": [one.name for one in bridges.bridges() if one.name != bridges.OWN and _is_whole(one)],
        }

    def _reset(self, _: Request) -> dict[str, Json]:
        return {}

    def _bye(self, _: Request) -> dict[str, Json]:
        return {}

    def _decode(self, request: Request) -> dict[str, Json]:
        with self._opened(request["artifact"]) as model:
            content = content_of(model, self._wire, tensors=request.get("want", "all") == "all")
            read = [self._wire.of_box(_named(model, item), item.get("box")) for item in request.get("read", ())]
            profile = model.manifest.profile if model.manifest is not None else ""
            return {
                "identity": model.digest,
                "profile": profile,
                "content": {"profile": profile, **content},
                "read": read,
            }

    def _encode(self, request: Request) -> dict[str, Json]:
        return self._written(model_of(request["content"], self._wire), request)

    def _transcode(self, request: Request) -> dict[str, Json]:
        with self._opened(request["artifact"]) as model:
            return self._written(model, request)

    def _opened(self, artifact: Json) -> Model:
        """The model of an artifact in any form."""
        step = reference_series.step_of(artifact)
        return open_model(self._wire.location(artifact)) if step is None else step.open()

    def _written(self, model: Model, request: Request) -> dict[str, Json]:
        size = request.get("shard_size")
        if request["form"] == "series":
            return {"identity": reference_series.save(model, request, size)}
        return {"identity": save_model(model, request["path"], form=request["form"], shard_size=size)}

    def _validate(self, request: Request) -> dict[str, Json]:
        if "document" in request:
            _check_document(request["document"], self._wire.take(request["data"]))
            return {}
        step = reference_series.step_of(request["artifact"])
        if step is not None:
            return {"identity": step.series.verify(step.number).identity}
        return {"identity": verify(self._wire.location(request["artifact"])).identity}

    def _convert(self, request: Request) -> dict[str, Json]:
        from etui import bridges
        from etui.conversion import convert

        options = dict(request.get("options") or {})
        if unknown := options.keys() - _OPTIONS:
            raise MessageError(f"options that there are not: {sorted(unknown)}")
        path = request["path"]
        report = convert(request["source"], path, to=request["to"], **options)
        reply: dict[str, Json] = {"report": report.as_json()}
        if request["to"] == bridges.OWN:
            with open_model(path) as model:
                reply["identity"] = model.digest
        return reply

    def _evaluate(self, request: Request) -> dict[str, Json]:
        from etui_conformance.adapters import reference_core

        with self._opened(request["artifact"]) as model:
            return reference_core.evaluate(model, request, self._wire)

    def _step(self, request: Request) -> dict[str, Json]:
        from etui_conformance.adapters import reference_core

        with self._opened(request["artifact"]) as model:
            return reference_core.step(model, request, self._wire)

    def _compute(self, request: Request) -> dict[str, Json]:
        from etui_conformance.adapters import reference_core

        return reference_core.compute(request, self._wire)


def _is_whole(bridge: Bridge) -> bool:
    """Whether the packages are there that a format needs, in its form as YAML too."""
    return bridge.available and (bridge.name != "keras-json" or find_spec("yaml") is not None)


def _named(model: Model, item: Request) -> Tensor:
    """The tensor that an entry of `read` asks for."""
    part, name = item["part"], item["name"]
    if part == "weights" and model.weights is not None and name in model.weights:
        return model.weights[name].tensor
    found = {(role, key): tensor for role, key, tensor in model.stored_tensors()}
    if (part, name) not in found:
        raise MessageError(f"no tensor {name!r} in {part}")
    return found[part, name]


def _check_document(kind: str, data: bytes) -> None:
    """Read one document as a reader does; whatever it refers to counts as there.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    if len(data) > DEFAULT_LIMITS.document_bytes:
        raise error("limit-document", where=kind, found=f"{len(data)} bytes")
    if kind == "manifest":
        listed = manifest.decode(data)
        _check_own({f"{MANIFEST} at metadata": listed.metadata}, None, listed.parts.keys())
        return
    if kind in reference_series.DOCUMENTS:
        reference_series.check_document(kind, data)
        return
    found = [document for document in DOCUMENTS.values() if document.role == kind]
    if not found:
        raise MessageError(f"no kind of document: {kind!r}")
    document = found[0]
    with _data_parts(document.name, data) as parts:
        container, _ = document.decode(data, parts)
    model = Model()
    setattr(model, document.role, container)
    _check_own(dict(contents(model)), model.config)
    check_core(model)


def _check_own(found: Mapping[str, Any], config: Config | None, listed: Collection[str] | None = None) -> None:
    """Refuse references to what only the document itself could have (V-10, C-13).

    Args:
        found: place -> value.
        config: whose modules they are about, if they stand in one.
        listed: the parts of the manifest, if they stand in one.

    Raises:
        RejectError: ``reference-missing``.
    """
    modules = None if config is None else {path for path, _ in config.walk()}
    for place, value in found.items():
        for one in references(value):
            # Decoding a config has looked at its outputs, and decoding a state at its tensors.
            foreign = isinstance(one, StoredTensor) or (config is None and isinstance(one, OutputRef))
            unknown = modules is not None and isinstance(one, ModuleRef) and one.path not in modules
            unlisted = listed is not None and isinstance(one, AssetRef) and one.part not in listed
            if foreign or unknown or unlisted:
                raise error("reference-missing", where=place, found=shown(one))


@contextmanager
def _data_parts(name: str, data: bytes) -> Iterator[DataParts]:
    """Data parts of all the names that a document's chunks have."""
    codec = msgpack if name.endswith(".msgpack") else json
    tree = codec.decode(data, where=name, limits=DEFAULT_LIMITS)
    parts = {part: DataPart(0, 0, "") for part in _part_names(tree)}
    with open_artifact({MANIFEST: b""}) as nothing:
        yield DataParts(nothing, parts, verify=False, limits=DEFAULT_LIMITS)


def _part_names(tree: Any) -> Iterator[str]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            part = node.get("part")
            if isinstance(part, str) and role_of(part) == "data":
                yield part
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
