"""A SavedModel folder to a neutral model (SPEC.md, annex G). No graph of it is run, and nothing is imported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etui import digest, paths
from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Content, Renamed
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import keep, residue
from etui.bridges.tensorflow.arrays import tensor_of
from etui.bridges.tensorflow.keras_read import read_keras
from etui.bridges.tensorflow.layer_order import reordered
from etui.bridges.tensorflow.legacy_optimizer import layout_paths
from etui.bridges.tensorflow.object_graph import KEY, read_object_graph
from etui.bridges.tensorflow.objects_read import keep_scale
from etui.bridges.tensorflow.saved_model import program as program_file
from etui.bridges.tensorflow.saved_model.effects import effects_named
from etui.bridges.tensorflow.saved_model.graph import Node, read_nodes, routes, way
from etui.bridges.tensorflow.saved_model.keras import Places, find_places, metric_places, optimizer_places
from etui.bridges.tensorflow.saved_model.legacy import legacy_places
from etui.bridges.tensorflow.saved_model.metadata import FILE as METADATA
from etui.bridges.tensorflow.saved_model.metadata import KerasFacts, read_facts
from etui.bridges.tensorflow.saved_model.program import Program
from etui.bridges.tensorflow.saved_model.schema import SAVED_MODEL
from etui.bridges.tensorflow.saved_model.variables import keep_tensors, stored_variables, whole
from etui.bridges.tensorflow.saved_model.vocabulary import Vocabularies
from etui.containers.weights import Weights
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model, Native
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.foreign_names import is_clutter
from etui.storage.part_names import escape
from etui.storage.protobuf import Message, decode
from etui.storage.tf_bundle import Bundle, BundleTensor, open_bundle

MAIN, FINGERPRINT = "saved_model.pb", "fingerprint.pb"
VARIABLES = "variables/variables"
ASSETS = "assets/"
NATIVE = "native/tensorflow/"
_SERVE = "serve"
_DIALECT = "tf_keras"
_KERAS_3 = "_all_variables"
_COUNTED = "layer_with_weights-"
_DATE = "1980-01-01@00:00:00"


def read_saved_model(path: Path, report: Report, limits: Limits, *, native: bool) -> Model:
    """Translate a SavedModel; the model reads tensors from the folder when they are asked for.

    Raises:
        RejectError: a code of SPEC.md, annex F or G.
        MissingExtraError, StorageError: as for every bridge.
    """
    folder = ForeignFolder(path, limits)
    reading = _Reading(path, folder, report, limits)
    try:
        model = reading.model(native=native)
    except BaseException:
        reading.close()
        raise
    model.closing = reading.close
    return model


@dataclass(slots=True)
class _Reading:
    path: Path
    folder: ForeignFolder
    report: Report
    limits: Limits
    bundle: Bundle | None = None
    nodes: list[Node] = field(default_factory=list)
    stored: dict[int, BundleTensor] = field(default_factory=dict)
    program: Program = field(default_factory=Program)

    def close(self) -> None:
        self.folder.close()
        if self.bundle is not None:
            self.bundle.close()

    def model(self, *, native: bool) -> Model:
        names = self.folder.names()
        graph = self._meta_graph()
        where = f"{self.folder.location}, {MAIN}"
        objects = graph["object_graph_def"]
        self.nodes = [] if objects is None else read_nodes(objects, where)
        if f"{VARIABLES}.index" in names:
            self.bundle = open_bundle(self.path / VARIABLES, self.limits)
            self.stored = stored_variables(self.nodes, self.bundle, f"{self.folder.location}, {VARIABLES}", self.limits)
        metadata = self._bytes(METADATA) if METADATA in names else None
        facts = read_facts(self.nodes, metadata, self.folder.location, self.limits) if self.nodes else None
        if facts is not None and facts.rebuilt is not None:
            model = self._rebuilt(facts)
            self._assets(model, graph)
        else:
            if facts is not None:
                self._vocabularies(facts, graph)
            model = self._plain() if facts is None else self._keras(facts)
            self._assets(model, graph)
            self._program(model, graph, metadata)
        self._others(model, native=native)
        return model

    def _bytes(self, name: str) -> bytes:
        source = self.folder.source(name)
        if source.size > self.limits.document_bytes:
            raise error("limit-foreign", where=f"{self.folder.location}, {name}", found=f"{source.size} bytes")
        return source.read(0, source.size)

    def _meta_graph(self) -> Message:
        """The graph that is to be served, or the only one."""
        where = f"{self.folder.location}, {MAIN}"
        if MAIN not in self.folder.names():
            raise error("savedmodel-graph", where=where, found="no such file")
        message = decode(SAVED_MODEL, self._bytes(MAIN), where=where, limits=self.limits)
        graphs = message["meta_graphs"]
        serving = [graph for graph in graphs if _SERVE in _tags(graph)]
        chosen = serving if len(graphs) > 1 else graphs
        if len(chosen) != 1:
            tags = [_tags(graph) for graph in graphs]
            raise error("savedmodel-graph", where=where, found=f"graphs with the tags {shown(tags)}")
        for graph in graphs:
            if graph is not chosen[0]:
                self.report.add("program", f"{MAIN} {_tags(graph)}", "data-only", "another graph than the one to serve")
        found: Message = chosen[0]
        return found

    def _tensors(self) -> dict[str, BundleTensor]:
        return {} if self.bundle is None else self.bundle.tensors

    def _keras(self, facts: KerasFacts) -> Model:
        """A model of Keras: its variables by their names in the layout."""
        report = Report()
        found = self._content(facts, {})
        legacy = legacy_places(self.nodes, read_model(found[0], report, METADATA), found[1])
        content, layout = self._content(facts, legacy)
        model = read_model(content, self.report, METADATA)
        if model.config is not None:
            # The objects tell only of layers that have variables, so what groups are there says nothing.
            residue(model.config.model).pop("groups", None)
        for name, number in layout.items():
            self.program.place(self.stored[number], "layout", name)
        self._rate(model)
        self._scale(model)
        self._flags(model, layout)
        return model

    def _flags(self, model: Model, layout: Mapping[str, int]) -> None:
        """An object says of its variable whether it is trainable; the classes of unknown layers say nothing."""
        variables = {} if model.weights is None else model.weights.variables
        for name, path in layout_paths(model).items():
            if variables[path].trainable and name in layout and not self.nodes[layout[name]].trainable:
                variables[path].trainable = False
                self.report.add("flag", path, "translated", "not trainable: its object says so")

    def _rebuilt(self, facts: KerasFacts) -> Model:
        """A model whose objects are in the bundle alone, as Etui writes it; its variables are found by its config."""
        entry = self._tensors().get(KEY)
        where = f"{self.folder.location}, {VARIABLES}"
        if entry is None or entry.dtype != "bytes" or entry.shape != () or facts.rebuilt is None:
            raise error("savedmodel-variables", where=where, found="no object graph")
        objects = read_object_graph(entry.read().item(), f"{where}, {KEY}", self.limits)
        for node in objects.nodes:
            # The names that count all layers say more: an operation of tf_keras is a layer without variables.
            node.children = {name: at for name, at in node.children.items() if not name.startswith(_COUNTED)}
        content = Content(facts.rebuilt, _DIALECT, metadata=_told(facts))
        model = read_keras(content, objects, self._tensors(), self.report)
        if model is None or model.config is None:
            raise error("savedmodel-variables", where=where, found="variables of no model like that of the metadata")
        root, own = model.config.model, ConfigReader(facts.tree, _DIALECT, lambda _: False).read().model
        root.residue.pop("tensorflow", None)
        kept = {name: fact for name, fact in residue(root).items() if name in ("dialect", "metadata", "uncompiled")}
        order = {child.name: at for at, child in enumerate(own.modules)}
        root.op, root.kind, root.attrs, root.residue = own.op, own.kind, own.attrs, own.residue
        root.modules.sort(key=lambda child: order.get(child.name, len(order)))
        for name, fact in kept.items():
            keep(root, name, fact)
        return reordered(model)

    def _vocabularies(self, facts: KerasFacts, graph: Message) -> None:
        """Fill in what the metadata leaves out because the graph has it."""

        def asset(name: str) -> bytes | None:
            return self._bytes(ASSETS + name) if ASSETS + name in self.folder.names() else None

        where = f"{self.folder.location}, {MAIN}"
        finder = Vocabularies(self.nodes, graph, facts.layers, asset, where, self.limits)
        for layer in finder.fill(facts.tree):
            self.report.add("vocabulary", layer, "restored", "from the graph that initializes its table")

    def _content(self, facts: KerasFacts, legacy: dict[str, int]) -> tuple[Content, dict[str, int]]:
        groups: set[str] = set()
        for _ in range(2):
            # The second time it is known which objects in a custom layer's config are layers.
            config = ConfigReader(facts.tree, _DIALECT, groups.__contains__).read()
            places = find_places(config, self.nodes, facts.layers)
            groups = set(places.groups)
        layout = places.names | (legacy or optimizer_places(self.nodes)) | metric_places(self.nodes, facts.layers)
        # An object that Keras made after it saved the variables, or tracks and does not save, has no values.
        layout = {name: number for name, number in layout.items() if number in self.stored}
        datasets = {name: _renamed(name, self.stored[number]) for name, number in layout.items()}
        return Content(facts.tree, _DIALECT, _groups(places, datasets), datasets, _told(facts)), layout

    def _rate(self, model: Model) -> None:
        """The variable that holds the optimizer's learning rate, which the config has too."""
        at = self.nodes[0].children.get("optimizer")
        if at is None or model.optimizer is None:
            return
        for name in ("_learning_rate", "learning_rate"):
            number = self.nodes[at].children.get(name)
            optimizer = model.optimizer.optimizers.get("optimizer")
            if number in self.stored and optimizer is not None and optimizer.schedule is None:
                tensor = self.stored[number]
                if tensor.dtype == "float32" and tensor.shape == ():
                    optimizer.learning_rate = float(tensor.read())
                    self.program.place(tensor, "rate", "optimizer")
                    self.report.add("slot", "optimizer/learning_rate", "restored")

    def _scale(self, model: Model) -> None:
        """The scale of the loss, which the program holds too: a target without the graphs needs it."""
        optimizer = None if model.optimizer is None else model.optimizer.optimizers.get("optimizer")
        at = self.nodes[0].children.get("optimizer")
        scale = None if at is None else self.nodes[at].children.get("loss_scale")
        if optimizer is None or scale is None:
            return
        children = self.nodes[scale].children
        stored = {name: self.stored[child] for name, child in children.items() if child in self.stored}
        keep_scale(optimizer, stored, self.report)

    def _plain(self) -> Model:
        """Variables by the path of their objects; those of Keras 3 by its own paths; of TensorFlow 1 by name."""
        weights = Weights()
        named = self._named()
        for path, tensor, trainable in named:
            if tensor.dtype == "variant":
                continue
            known = path in weights
            same = known and _same(whole(tensor), weights[path].numpy())
            own = _free(path, weights) if known and not same else path
            if not same:
                weights.add(own, tensor_of(tensor), role=own.rpartition("/")[2], trainable=trainable)
                self.report.add("variable", own, "restored")
            self.program.place(tensor, "path", own)
        detail = "a SavedModel of this kind has no topology, only graphs: see its program"
        self.report.add("document", "config.json", "fresh" if not weights else "data-only", detail)
        return Model(None, weights)

    def _named(self) -> Iterator[tuple[str, BundleTensor, bool]]:
        """Path, tensor and flag of each variable in the order of the objects."""
        if not self.nodes:
            for name, tensor in self._tensors().items():
                yield paths.escape_segment(name) if "//" in name else _path(name.split("/")), tensor, True
            return
        found, where = routes(self.nodes), f"{self.folder.location}, {MAIN}"
        listed = [number for number in found if number in self.stored]
        slots = {slot: (owner, name) for node in self.nodes for owner, name, slot in node.slots}
        keras_3 = _KERAS_3 in self.nodes[0].children and all(self.nodes[number].name for number in listed)
        for number in listed:
            node = self.nodes[number]
            steps = node.name.split("/") if keras_3 else way(found, number, where)
            yield _path(steps), self.stored[number], node.trainable
        for number, (owner, name) in slots.items():
            if number in self.stored and owner in found and number not in found:
                yield _path(["slots", name, *way(found, owner, where)]), self.stored[number], False

    def _assets(self, model: Model, graph: Message) -> None:
        names = self.folder.names()
        for definition in graph["asset_file_def"]:
            if ASSETS + definition["filename"] not in names:
                found = f"the asset {shown(definition['filename'])}, which is not below {ASSETS}"
                raise error("savedmodel-asset", where=f"{self.folder.location}, {MAIN}", found=found)
        for name in names:
            if name.startswith(ASSETS) and not is_clutter(name):
                part = ASSETS + escape(name.removeprefix(ASSETS))
                model.assets[part] = Blob(self.folder.source(name))
                self.program.assets[name] = part
                self.report.add("asset", part, "restored")

    def _program(self, model: Model, graph: Message, metadata: bytes | None) -> None:
        program = self.program
        program.config = model.fingerprint("config.json")
        program.compiled = compiled_digest(model)
        program.signatures = program_file.read_signatures(graph["signature_def"])
        program.effects = effects_named(self._bytes(MAIN))
        rest = [tensor for name, tensor in self._tensors().items() if name not in program.tensors]
        main = Blob(self.folder.source(MAIN), program_file.MEDIA_TYPE)
        model.programs = program_file.program_parts(main, metadata, keep_tensors(rest), program)
        detail = f"signatures {sorted(program.signatures)}" if program.signatures else "no signatures"
        if program.effects:
            detail += f"; not run, it names operations that can run code or reach files: {', '.join(program.effects)}"
        self.report.add("program", program_file.MAIN, "data-only" if program.effects else "verbatim", detail)
        for tensor in rest:
            if tensor.name != KEY:
                self.report.add("state", tensor.name, "data-only", "kept in the program: no variable of the model")

    def _others(self, model: Model, *, native: bool) -> None:
        """Files that are no part of the format are handed on; the fingerprint is of bytes that may change."""
        for name in self.folder.names():
            if is_clutter(name):
                self.report.add("document", name, "left-out", "what a file manager put there for itself")
                continue
            if name in (MAIN, METADATA) or name.startswith((ASSETS, f"{VARIABLES}.")):
                continue
            if name == FINGERPRINT or not native:
                detail = "a hash of the folder's own bytes" if name == FINGERPRINT else "on request"
                self.report.add("document", name, "left-out", detail)
                continue
            model.native[NATIVE + escape(name)] = Native(Blob(self.folder.source(name)), "tensorflow")
            self.report.add("document", NATIVE + escape(name), "verbatim", "handed on")


def compiled_digest(model: Model) -> str | None:
    """The digest of the compile config that a model has in Keras' form; `None` where it was not compiled."""
    if model.config is None or model.training is None or model.weights is None:
        return None
    compiled = Writing(model).config().get("compile_config")
    return None if not compiled else digest.of(json.dumps(compiled, sort_keys=True).encode())


def _told(facts: KerasFacts) -> dict[str, Any]:
    """The metadata that a `.keras` file of the same model has."""
    return {} if facts.version is None else {"keras_version": facts.version, "date_saved": _DATE}


def _tags(graph: Message) -> list[str]:
    info = graph["meta_info_def"]
    return [] if info is None else list(info["tags"])


def _renamed(name: str, tensor: BundleTensor) -> Renamed:
    return Renamed(name, tensor.dtype, tensor.shape, lambda: whole(tensor))


def _groups(places: Places, datasets: Iterable[str]) -> dict[str, dict[str, str]]:
    """Every group with those around it."""
    found: dict[str, dict[str, str]] = {"": {}}
    for group in [*places.groups, *(f"{group}/{VARS}" if group else VARS for group in places.groups), *datasets]:
        parent = group
        while parent:
            if parent not in datasets:
                found[parent] = {}
            parent = parent.rpartition("/")[0]
    return found


def _path(steps: Iterable[str]) -> str:
    return "/".join(paths.escape_segment(step) for step in steps)


def _free(path: str, weights: Weights) -> str:
    number = 1
    while f"{path}_{number}" in weights:
        number += 1
    return f"{path}_{number}"


def _same(one: Any, two: Any) -> bool:
    return (one.dtype, one.shape) == (two.dtype, two.shape) and one.tobytes() == two.tobytes()
