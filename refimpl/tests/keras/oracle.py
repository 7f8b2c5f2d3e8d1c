"""Judge of `.keras` files: real Keras loads an original and its conversions and says whether they are the same model.

Run as a program with KERAS_BACKEND set, because one process can hold one backend only:

    python oracle.py build DIR [NAME...]
        writes build.json, and for every model NAME.keras, NAME.npz with the batch it is judged on, NAME.json with the
        names of its variables, and NAME.values.npz with their values as they were in memory
    python oracle.py judge JOBS.json RESULT.json
        JOBS.json is {name: {"original": path, "data": path.npz, "converted": {label: path}}}
        RESULT.json is {name: {label: {check: "" or what differs}}}

Everything is compared bit for bit; there is no tolerance anywhere in this file.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["XLA_FLAGS"] = (  # one thread; and compiling costs these small programs more than running does
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import h5py
import keras
import numpy as np

SEED = 20260


def main(arguments: list[str]) -> int:
    """Do what the command line says; the answer is in the files written."""
    _quiet()
    verb, *rest = arguments
    if verb == "build":
        build(Path(rest[0]), rest[1:])
    elif verb == "judge":
        jobs = json.loads(Path(rest[0]).read_text())
        Path(rest[1]).write_text(json.dumps({name: judge(**job) for name, job in jobs.items()}, indent=1))
    else:
        raise SystemExit(f"unknown verb {verb}")
    return 0


def _quiet() -> None:
    keras.utils.disable_interactive_logging()
    if keras.backend.backend() == "torch":
        import torch

        # The backward pass of oneDNN's convolutions (torch 2.13) ends the process on some processors.
        torch.backends.mkldnn.enabled = False

        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
    if keras.backend.backend() == "jax" and "ETUI_JAX_CACHE" in os.environ:
        import jax  # the same small programs are compiled for the original and for each conversion

        jax.config.update("jax_compilation_cache_dir", os.environ["ETUI_JAX_CACHE"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def corpus() -> Any:
    """The models; they are beside this script, and importing them registers their classes with Keras."""
    return import_module("corpus")


# --- build -----------------------------------------------------------------------------------------------------------


def build(target: Path, only: list[str]) -> None:
    """Write every case that this backend can run, and an index that says which and why the others are missing."""
    backend = keras.backend.backend()
    target.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {"backend": backend, "keras": keras.__version__, "cases": {}, "left_out": {}, "failed": {}}
    for name, case in corpus().CASES.items():
        if only and name not in only:
            continue
        if backend not in case.backends:
            index["left_out"][name] = case.reason
            continue
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(SEED)
        try:
            sample = case.build()
            sample.model.save(target / f"{name}.keras")
        except Exception as error:
            index["failed"][name] = f"{type(error).__name__}: {error}"
            continue
        save_data(target / f"{name}.npz", {"x": sample.x, "y": sample.y, "w": sample.sample_weight})
        (target / f"{name}.json").write_text(json.dumps(describe(sample.model), indent=1))
        live = {"weights": sample.model.weights, "optimizer": optimizer_of(sample.model)}
        save_data(target / f"{name}.values.npz", {part: list(values(found).values()) for part, found in live.items()})
        index["cases"][name] = {"random": case.random}
    (target / "build.json").write_text(json.dumps(index, indent=1))


def describe(model: keras.Model) -> dict[str, Any]:
    """Name every weight of a model and every variable of its optimizer, in Keras' order."""

    def rows(variables: list[Any]) -> list[list[Any]]:
        return [[v.path, list(v.shape), keras.backend.standardize_dtype(v.dtype), bool(v.trainable)] for v in variables]

    return {"weights": rows(model.weights), "optimizer": rows(optimizer_of(model))}


def optimizer_of(model: keras.Model) -> list[Any]:
    """The variables of a model's optimizer, if it has one."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer.variables if optimizer else []


def save_data(path: Path, data: Any) -> None:
    """Store nested lists and dicts of arrays in one npz without pickle."""
    arrays: dict[str, np.ndarray] = {}

    def shape_of(value: Any) -> Any:
        if isinstance(value, dict):
            return {"dict": {key: shape_of(item) for key, item in value.items()}}
        if isinstance(value, (list, tuple)):
            return {"list": [shape_of(item) for item in value]}
        if value is None:
            return None
        arrays[f"a{len(arrays)}"] = np.asarray(value)
        return f"a{len(arrays) - 1}"

    structure = json.dumps(shape_of(data))
    np.savez(path, allow_pickle=False, structure=np.asarray(structure), **arrays)


def load_data(path: str | Path) -> Any:
    """Undo `save_data`."""
    with np.load(path, allow_pickle=False) as stored:

        def value_of(shape: Any) -> Any:
            if shape is None:
                return None
            if isinstance(shape, str):
                return stored[shape]
            if "dict" in shape:
                return {key: value_of(item) for key, item in shape["dict"].items()}
            return [value_of(item) for item in shape["list"]]

        return value_of(json.loads(str(stored["structure"])))


# --- judge -----------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What was observed of one file: the archive's own documents, and the model that Keras made of it."""

    config: Any
    config_renumbered: Any
    assets: dict[str, bytes]
    weights_file: dict[str, Any]
    warnings: list[str]
    compile_config: Any
    variables: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    predictions: Any
    losses: list[Any]
    variables_after: dict[str, np.ndarray]
    optimizer_after: dict[str, np.ndarray]


def judge(original: str, data: str, converted: dict[str, str], train: bool = True) -> dict[str, dict[str, str]]:
    """Compare each conversion with the original; an empty string means no difference."""
    corpus()  # registers the custom objects
    batch = load_data(data)
    try:
        first = observe(original, batch, train)
    except Exception as error:
        return {label: {"original": f"{type(error).__name__}: {error}"} for label in converted}
    verdicts: dict[str, dict[str, str]] = {}
    for label, path in converted.items():
        try:
            verdicts[label] = compare(first, observe(path, batch, train))
        except Exception as error:
            verdicts[label] = {"loads": f"{type(error).__name__}: {error}"}
    return verdicts


def observe(path: str | Path, batch: Any, train: bool = True) -> Seen:
    """Load one file, predict, take three steps. Seeded before the load, so that unseeded layers draw the same seed."""
    config, assets, weights_file = read_archive(path)
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(SEED)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = keras.models.load_model(path)
    compile_config = keras.saving.serialize_keras_object(model.get_compile_config()) if model.compiled else None
    corpus().spare_tracing(model)
    before = values(model.variables), values(optimizer_of(model))
    predictions = keras.tree.map_structure(np.asarray, model.predict_on_batch(batch["x"]))
    losses = []
    if train and batch["y"] is not None and model.compiled:
        for _ in range(3):
            logs = model.train_on_batch(batch["x"], batch["y"], sample_weight=batch["w"], return_dict=True)
            losses.append({name: np.asarray(value) for name, value in logs.items()})
    return Seen(
        config=config,
        config_renumbered=renumbered(config),
        assets=assets,
        weights_file=weights_file,
        warnings=sorted(str(item.message) for item in caught if item.category is UserWarning),
        compile_config=compile_config,
        variables=before[0],
        optimizer=before[1],
        predictions=predictions,
        losses=losses,
        variables_after=values(model.variables),
        optimizer_after=values(optimizer_of(model)),
    )


def renumbered(config: Any) -> Any:
    """Number the objects that a config shares from 1: Keras calls them by the addresses they had in its process."""
    numbers: dict[int, int] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            seen = {key: walk(value[key]) for key in sorted(value)}
            if isinstance(shared := value.get("shared_object_id"), int):
                seen["shared_object_id"] = numbers.setdefault(shared, len(numbers) + 1)
            return seen
        return [walk(item) for item in value] if isinstance(value, list) else value

    return walk(config)


def values(variables: list[Any]) -> dict[str, np.ndarray]:
    """Copy variables out; the position is part of the key because paths need not be unique."""
    return {f"{i} {v.path}": np.array(keras.ops.convert_to_numpy(v.value)) for i, v in enumerate(variables)}


def read_archive(path: str | Path) -> tuple[Any, dict[str, bytes], dict[str, Any]]:
    """Return config.json, the assets, and every dataset and attribute of model.weights.h5."""
    tree: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        tree[name] = {
            "attributes": {key: str(value) for key, value in item.attrs.items()},
            "value": item[()] if isinstance(item, h5py.Dataset) else None,
        }

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        names = [name for name in archive.namelist() if name.startswith("assets/") and not name.endswith("/")]
        assets = {name: archive.read(name) for name in names}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
            weights.visititems(visit)
    return config, assets, tree


def compare(one: Seen, two: Seen) -> dict[str, str]:
    """Name every check, with an empty string where the two agree."""
    return {name: difference(getattr(one, name), getattr(two, name)) for name in Seen.__dataclass_fields__}


def difference(one: Any, two: Any, where: str = "") -> str:
    """Where two nested values first differ, or an empty string; arrays are equal by dtype, shape and bits."""
    if isinstance(one, dict) and isinstance(two, dict):
        if one.keys() != two.keys():
            return f"{where}: keys {sorted(map(str, one.keys() ^ two.keys()))} are in one only"
        pairs = [(f"{where}/{key}", one[key], two[key]) for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        if len(one) != len(two):
            return f"{where}: {len(one)} items against {len(two)}"
        pairs = [(f"{where}/{i}", a, b) for i, (a, b) in enumerate(zip(one, two, strict=True))]
    elif isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        if one.dtype != two.dtype or one.shape != two.shape:
            return f"{where}: {one.dtype}{one.shape} against {two.dtype}{two.shape}"
        same = one.tolist() == two.tolist() if one.dtype == object else one.tobytes() == two.tobytes()
        return "" if same else f"{where}: the values differ"
    else:
        return "" if type(one) is type(two) and one == two else f"{where}: {one!r} against {two!r}"
    return next((found for item in pairs if (found := difference(item[1], item[2], item[0]))), "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
