"""Sessions of onnxruntime over the mapped bytes of an artifact, and runs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.bridges.onnx.checks import check_domains, check_tensors, decode_model, nodes_of
from etui.bridges.onnx.external import (
    FilePlace,
    Pointer,
    check_stored,
    data_name,
    file_place_of,
    is_external,
    main_name,
    pointers_of,
    raw_bytes_of,
    stored_tensors,
)
from etui.bridges.onnx.functions import rename_functions
from etui.bridges.onnx.require import runtime_package
from etui.bridges.onnx.types import NAMES, PACKED
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.onnx_pointers import MEDIA_TYPE

__all__ = ["load_main", "new_session", "run_onnx"]

# What NumPy has; onnxruntime is told the type of everything else.
_NUMPY = frozenset(
    {"bool", "float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
)
_QUIET = 4
_FOLDER = "session.model_external_initializers_file_folder_path"


def load_main(model: Model, name: str) -> Any:
    """The graph of a program, checked: a `ModelProto`.

    Raises:
        InvalidError: ``onnx-form``.
        UnsafeError: ``onnx-data``, ``onnx-domain``.
        MissingExtraError: ``extra-onnx``.
    """
    where = main_name(name)
    blob = model.programs.get(where)
    if blob is None or blob.media_type != MEDIA_TYPE:
        raise error("onnx-form", where=where, found="no such part of the kind")
    proto = decode_model(blob.view(), where)
    check_tensors(proto, where)
    check_domains(proto, where)
    return proto


def new_session(
    model: Model,
    name: str,
    *,
    providers: Sequence[Any] | None = None,
    options: Any = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """An `onnxruntime.InferenceSession` of a program, over the weights that the artifact has now.

    The bytes of its initializers are checked against their digests; then onnxruntime maps them where they lie in the
    artifact's file or folder. What is in memory, or behind a URL, it is given.

    Args:
        model: has the program and the weights.
        name: of the program.
        providers: as onnxruntime takes them; by default the processor alone.
        options: an `onnxruntime.SessionOptions`, to which the initializers are added.
        limits: of a tensor.

    Raises:
        InvalidError: ``onnx-form``.
        UnsafeError: ``onnx-data``, ``onnx-domain``.
        IntegrityError: ``digest-mismatch``.
        StorageError: ``program-failed``, onnxruntime does not take it.
        MissingExtraError: ``extra-onnx``.
    """
    runtime = runtime_package()
    proto = load_main(model, name)
    own = model.programs.get(data_name(name))
    stored = stored_tensors(model)
    checked = list(pointers_of(proto.graph, name, 0 if own is None else own.size, limits))
    for one in checked:
        check_stored(one, name, stored)
    _drop_unused(proto)
    rename_functions(proto, nodes_of(proto, main_name(name)))
    read = {tensor.name for tensor in proto.graph.initializer}
    pointers = [pointer for pointer in checked if pointer.name in read]
    data = own.view() if own is not None and any(not one.tensor for one in pointers) else memoryview(b"")
    raws = {one.name: raw_bytes_of(one, stored, data) for one in pointers}  # each is checked against its digest here
    places = {one.name: file_place_of(one, name, stored, None if own is None else own.source) for one in pointers}
    folder = next((place.folder for place in places.values() if place is not None), "")
    mapped = {key: place for key, place in places.items() if place is not None and place.folder == folder}
    _point_at_files(proto, mapped)
    held = [one for one in pointers if one.name not in mapped]
    _put_in(proto, {one.name: raws[one.name] for one in held if one.kind in PACKED.values()})
    held = [one for one in held if one.kind not in PACKED.values()]
    if options is None:
        options = runtime.SessionOptions()
        options.log_severity_level = _QUIET
    try:
        if mapped:
            options.add_session_config_entry(_FOLDER, folder)
        if held:
            values = [_ort_value(runtime, one, raws[one.name]) for one in held]
            options.add_external_initializers([one.name for one in held], values)
        return runtime.InferenceSession(
            proto.SerializeToString(), options, providers=list(providers or ["CPUExecutionProvider"])
        )
    except Exception as fault:  # onnxruntime's own have no common class
        raise error("program-failed", where=main_name(name), found=_words(fault)) from fault


def _point_at_files(proto: Any, places: Mapping[str, FilePlace]) -> None:
    """Point the initializers of a session at the files that hold them.

    onnxruntime maps these, and copies what it is given in memory.
    """
    for tensor in proto.graph.initializer:
        if tensor.name in places:
            place = places[tensor.name]
            for entry in tensor.external_data:
                if entry.key in {"location", "offset"}:
                    entry.value = str(getattr(place, entry.key))


def _drop_unused(proto: Any) -> None:
    """Without the initializers that nothing reads: onnxruntime drops them before it takes those that are given."""
    used = {name for node in nodes_of(proto, "") for name in node.input} | {one.name for one in proto.graph.output}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in used or not is_external(tensor)]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)


def _put_in(proto: Any, packed: Mapping[str, npt.NDArray[np.uint8]]) -> None:
    """Initializers in memory of which two elements share a byte, as part of the model: no arrays of these are taken."""
    for tensor in proto.graph.initializer:
        if tensor.name in packed:
            del tensor.external_data[:]
            tensor.data_location = tensor.DEFAULT
            tensor.raw_data = packed[tensor.name].tobytes()


def _ort_value(runtime: Any, pointer: Pointer, raw: npt.NDArray[np.uint8]) -> Any:
    """The bytes of an initializer as onnxruntime takes them, which makes a copy."""
    make, name = runtime.OrtValue, NAMES[pointer.kind]
    if name in _NUMPY:
        return make.ortvalue_from_numpy(raw.view(dtypes.by_name(name, "").numpy).reshape(pointer.dims))
    words = raw.view(np.uint8 if name.startswith("float8") else np.uint16)
    return make.ortvalue_from_numpy_with_onnx_type(words.reshape(pointer.dims), pointer.kind)


def run_onnx(
    model: Model, name: str, inputs: Mapping[str, npt.NDArray[Any]], limits: Limits = DEFAULT_LIMITS
) -> dict[str, npt.NDArray[Any]]:
    """Run a program once.

    Args:
        model: has the program and the weights.
        name: of the program.
        inputs: an array for each input by its name.
        limits: of a tensor.

    Returns:
        The outputs by name, in their order.

    Raises:
        EtuiError: as `new_session` says; ``program-failed``, it does not come to its end.
    """
    session = new_session(model, name, limits=limits)
    names = [output.name for output in session.get_outputs()]
    try:
        found = session.run(names, dict(inputs))
    except Exception as fault:
        raise error("program-failed", where=main_name(name), found=_words(fault)) from fault
    return {output: np.asarray(value) for output, value in zip(names, found, strict=True)}


def _words(fault: Exception) -> str:
    return shown(str(fault).strip(), 400)
