"""A whole model in a legacy HDF5 file to a neutral model (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Content, Stored
from etui.bridges.keras.h5.lists import (
    MODEL_WEIGHTS,
    OPTIMIZER_WEIGHTS,
    PASSED_OVER,
    Section,
    has_layers,
    read_arrays,
    read_section,
    unlisted,
)
from etui.bridges.keras.h5.match import Matched, match_layers
from etui.bridges.keras.h5.slot_order import by_name, by_sorting
from etui.bridges.keras.h5.training import layout_of, read_compiled
from etui.bridges.keras.json_text import read_json
from etui.bridges.keras.lift import dialect_of, lift
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.modules import keep
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import is_object
from etui.bridges.keras.variables import dataset_names
from etui.errors import EtuiError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.hdf5 import Hdf5File, is_hdf5, open_hdf5
from etui.storage.sources import BytesSource, open_file

MODEL_CONFIG, TRAINING_CONFIG = "model_config", "training_config"
FACTS = "h5"
# The form into which files of Keras 1 are brought.
_FIRST_VERSION = "2.0.0"
_HEAD_BYTES = 8
_OPTIMIZER, _INNER = "optimizer", "inner_optimizer"


def kind_of(path: Path) -> str | None:
    """What a file is: ``model``, ``weights`` (of the legacy format), or `None`; never an error of the content."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if not is_hdf5(file.read(_HEAD_BYTES)):
            return None
    found = path.stat()
    return _kind(str(path), found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=8)
def _kind(path: str, size: int, changed: int) -> str | None:  # noqa: ARG001  (they tell one file from its successor)
    try:
        source = open_file(path)
    except EtuiError:
        return None
    try:
        file = open_hdf5(source, path, DEFAULT_LIMITS, lists=True)
    except EtuiError:
        return None
    finally:
        source.close()
    if MODEL_CONFIG in file.groups[""]:
        return "model"
    return "weights" if has_layers(file, "") else None


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of a whole-model file, parsed, and the version that they are of."""

    config: dict[str, Json]
    training: dict[str, Json] | None
    version: str | None


def read_documents(file: Hdf5File, where: str, limits: Limits) -> Documents:
    """The model's config and its training config.

    Raises:
        InvalidError: ``keras-h5``, there is no config.
        MalformedError: ``keras-json``.
    """
    attrs = file.groups[""]
    if MODEL_CONFIG not in attrs:
        raise error("keras-h5", where=where, found=f"no attribute {MODEL_CONFIG}")
    parsed = {
        name: read_json(BytesSource(attrs[name].encode()), f"{where}, {name}", limits)
        for name in (MODEL_CONFIG, TRAINING_CONFIG)
        if name in attrs
    }
    version = attrs.get("keras_version", file.groups.get(MODEL_WEIGHTS, {}).get("keras_version"))
    return Documents(parsed[MODEL_CONFIG], parsed.get(TRAINING_CONFIG), version)


def read_whole(file: Hdf5File, report: Report, where: str, limits: Limits) -> Model:
    """Translate a whole-model file.

    Args:
        file: the checked file.
        report: gets an entry for each stored array, and for the config.
        where: the file's name, for messages.
        limits: of the documents.

    Raises:
        RejectError: a code of SPEC.md, annexes B and C.
    """
    documents = read_documents(file, where, limits)
    version = documents.version
    tree = lift(documents.config, version, where=f"{where}, {MODEL_CONFIG}")
    if documents.training is not None:
        tree["compile_config"] = read_compiled(documents.training, version, f"{where}, {TRAINING_CONFIG}")
    section = read_section(file, MODEL_WEIGHTS, where)
    group = next((name for name in (OPTIMIZER_WEIGHTS, PASSED_OVER) if name in file.groups), None)
    arrays = {} if group is None else read_arrays(file, group, where)
    content = Content(tree, dialect_of(version))
    content.metadata = {"keras_version": version if _is_later(version) else _FIRST_VERSION}
    model = read_parts(content, Arrays(section, arrays, version), report, where)
    for path in unlisted(file, section, arrays):
        report.add("variable", path, "unexpected", "no list of the file names it")
    return model


@dataclass(frozen=True, slots=True)
class Arrays:
    """The arrays of a file: of the layers, and of the optimizer in stored order; and the version of the file."""

    section: Section
    optimizer: Mapping[str, Stored]
    version: str | None


def read_parts(content: Content, arrays: Arrays, report: Report, where: str) -> Model:
    """Translate a config and the arrays of its layers.

    Args:
        content: the config; is given the arrays.
        arrays: those of the file.
        report: gets an entry for each.
        where: the file's name, for messages.

    Raises:
        RejectError: a code of SPEC.md, annexes B and C.
    """
    tree, dialect = content.tree, content.dialect
    config = ConfigReader(tree, dialect, lambda _: False).read()
    matched = match_layers(config, dialect, arrays.section, report, where)
    compiled = tree.get("compile_config")
    if compiled is None and dialect == "keras":
        tree["compile_config"] = {}
    node = compiled.get("optimizer") if isinstance(compiled, dict) else None
    optimizer = layout_of(arrays.optimizer, node, arrays.version) if node is not None else {}
    _add_groups(matched, optimizer, node, dialect)
    content.groups, content.datasets = matched.groups, matched.datasets | optimizer
    trained = by_name(matched, list(arrays.optimizer)) or by_sorting(matched, optimizer, node, arrays.version)
    if trained:
        content.trained = {_OPTIMIZER: trained}
    model = read_model(content, report, f"keras {MODEL_CONFIG}")
    if arrays.optimizer and not optimizer:
        for name in arrays.optimizer:
            report.add("slot", name, "unexpected", "no training config says what optimizer it belongs to")
    _set_flags(model, matched.flags)
    _keep_facts(model, arrays.section)
    return model


def _set_flags(model: Model, flags: Mapping[str, bool]) -> None:
    """Not trainable is what the order of the arrays shows to be so."""
    if model.config is not None and model.weights is not None and not all(flags.values()):
        for _, path, dataset in dataset_names(model.config, model.weights):
            if flags.get(dataset) is False:
                model.weights.variables[model.weights.resolve(path)].trainable = False


def _add_groups(matched: Matched, optimizer: Mapping[str, Stored], node: Json, dialect: str) -> None:
    """The groups of the optimizer in the layout."""
    if not optimizer:
        return
    matched.groups[_OPTIMIZER] = {}
    for path in optimizer:
        group = path.rpartition("/")[0]
        matched.groups.setdefault(group, {})
        matched.groups.setdefault(group.rpartition("/")[0], {})
    inner, group = node, _OPTIMIZER
    while is_object(inner) and isinstance(inner["config"], dict) and f"{group}/vars" in matched.groups:
        name = inner["config"].get("name")
        if dialect == "keras" and isinstance(name, str):
            matched.groups[f"{group}/vars"] = {"name": name}
        inner, group = inner["config"].get(_INNER), f"{group}/{_INNER}"


def _is_later(version: str | None) -> bool:
    return version is not None and version.partition(".")[0] not in ("0", "1")


def _keep_facts(model: Model, section: Section) -> None:
    """The backend of the file, if it is not that of nearly all files."""
    if model.config is not None and section.backend not in (None, "tensorflow"):
        keep(model.config.model, FACTS, {"backend": section.backend})
