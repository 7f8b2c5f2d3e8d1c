"""Keras' configs that name code, files and addresses: data, of which nothing is imported, called or opened."""

from __future__ import annotations

import base64
import io
import json
import marshal
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from catalogue.case import Case, Make, case
from catalogue.hdf5 import DENSE
from etui.testing.h5_files import node, sequential, source, whole
from etui.testing.keras_files import Kit

CHAPTER = "Keras config"
Json = Any


def marshalled(mark: Path) -> str:
    """The bytecode of a function that makes a file, as Keras writes that of a lambda."""
    code = compile(f"lambda x: open({str(mark)!r}, 'w')", "<lambda>", "eval")
    return base64.b64encode(marshal.dumps(code.co_consts[0])).decode()


def mark(folder: Path) -> Path:
    """A file outside of the folder, which is there when code of the config ran."""
    return folder.with_name(f"{folder.name}-elsewhere") / "ran"


def elsewhere(folder: Path, name: str, data: bytes = b"classified") -> Path:
    """A file of a stranger, outside of the folder."""
    path = folder.with_name(f"{folder.name}-elsewhere") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def archive(layer: Callable[[Path], Json], members: Callable[[Path], dict[str, bytes]] = lambda _: {}) -> Make:
    """A `.keras` file with a layer behind a Dense layer."""

    def make(folder: Path) -> Path:
        kit = Kit(folder)
        layers = [kit.input("start", 4), kit.layer("Dense", "first", units=3), layer(folder)]
        arrays = {path: array for path, array in kit.dense_arrays().items() if "dense_1" not in path}
        return kit.write(kit.sequential(layers), arrays, members=members(folder))

    return make


def whole_config(tree: Callable[[Path], Json]) -> Make:
    """A `.keras` file of which the config is no model's."""
    return lambda folder: Kit(folder).write(tree(folder), Kit.dense_arrays())


def lambda_layer(folder: Path) -> Json:
    code = {"class_name": "__lambda__", "config": {"code": marshalled(mark(folder)), "defaults": None}}
    return Kit.layer("Lambda", "evil", function=code)


def legacy_lambda(folder: Path, **attributes: Json) -> Path:
    """A legacy model whose Lambda has bytecode and no word of a safe mode."""
    evil = node("Lambda", "evil", function=[marshalled(mark(folder)), None, None], function_type="lambda", **attributes)
    tree = sequential(source(), node("Dense", "dense", units=2), evil)
    return whole(folder / "m.h5", tree, {"dense": DENSE, "evil": {}})


def callable_of(module: str, name: str, **config: Json) -> Callable[[Path], Json]:
    """A node that names what any module has."""
    return lambda folder: {
        "module": module,
        "class_name": name,
        "config": {
            "name": "evil",
            **{key: str(mark(folder)) if value == "MARK" else value for key, value in config.items()},
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, 3]},
    }


def function_of(module: str, name: str, *args: Json) -> Callable[[Path], Json]:
    """A Lambda whose function is one of a module, by name, with arguments for it."""
    function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    return lambda _: Kit.layer("Lambda", "evil", function=function, arguments={"args": list(args)})


def vocabulary(kind: str) -> Callable[[Path], Json]:
    """A layer whose terms are in a file of the reader's machine."""
    return lambda folder: Kit.layer(kind, "evil", vocabulary=str(elsewhere(folder, "passwd", b"root\n")))


def torch_module(folder: Path) -> Json:
    """A wrapped torch module is a pickle in base64."""
    pickled = b"cos\nsystem\n(S'touch " + str(mark(folder)).encode() + b"'\ntR."
    layer = Kit.layer("TorchModuleWrapper", "evil", module="keras.src.utils.torch_utils")
    layer["config"]["module"] = {"class_name": "__bytes__", "config": base64.b64encode(pickled).decode()}
    return layer


def traversing(folder: Path) -> bytes:
    """An archive whose member leads out of the folder that it is unpacked in."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("../../evil.txt", str(folder.parent / "evil.txt")):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
    return file.getvalue()


def get_file(folder: Path) -> Json:
    """`keras.utils.get_file` with an archive that is here, to be unpacked elsewhere."""
    origin = elsewhere(folder, "evil.tar", traversing(folder))
    config = {"fname": "evil.tar", "origin": f"file://{origin}", "extract": True, "cache_dir": str(folder.parent)}
    return callable_of("keras.utils", "get_file", **config)(folder)


def with_weights(kit: Kit, data: bytes) -> Path:
    """The sound archive with another weights file."""
    path = kit.folder / "m.keras"
    with zipfile.ZipFile(kit.write(kit.dense_model())) as sound, zipfile.ZipFile(path, "w") as changed:
        for name in sound.namelist():
            changed.writestr(name, data if name == "model.weights.h5" else sound.read(name))
    return path


def external_weights(folder: Path) -> Path:
    """A sound archive whose weights lie in a file of the reader's machine, as raw storage and as a virtual dataset."""
    secret = elsewhere(folder, "secret.bin", bytes(48))
    kit = Kit(folder)
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        for place, array in kit.dense_arrays().items():
            outside = {"external": [(str(secret), 0, h5py.h5f.UNLIMITED)]} if array.shape == (4, 3) else {}
            weights.create_dataset(place, array.shape, "float32", **outside)
    return with_weights(kit, file.getvalue())


def shape_bomb(folder: Path) -> Path:
    """A sound archive with a dataset of 2^40 elements that are not stored."""
    kit = Kit(folder)
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        for place, array in kit.dense_arrays().items():
            weights.create_dataset(place, data=array)
        del weights["layers/dense/vars/0"]
        weights.create_dataset("layers/dense/vars/0", shape=(2**20, 2**20), dtype="float32", chunks=(1024, 1024))
    return with_weights(kit, file.getvalue())


def shape_of(config: Json) -> Make:
    """A model whose config declares a layer beyond all memory."""

    def make(folder: Path) -> Path:
        kit = Kit(folder)
        dense = kit.layer("Dense", "first", build={"input_shape": [None, 2**40]}, **config)
        return kit.write(kit.sequential([kit.input("start", 2**40), dense]), kit.dense_arrays())

    return make


def as_json(layer: Callable[[Path], Json]) -> Callable[[Path], Path]:
    """The same config as a document of its own, for weights that have none."""

    def make(folder: Path) -> Path:
        kit = Kit(folder)
        layers = [kit.input("start", 4), kit.layer("Dense", "first", units=3), layer(folder)]
        path = folder / "config.json"
        path.write_text(json.dumps(kit.sequential(layers)))
        return path

    return make


def weights(folder: Path) -> Path:
    """The weights of the Dense layer."""
    path = folder / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((4, 3), "float32"))
        file.create_dataset("layers/dense/vars/1", data=np.ones(3, "float32"))
    return path


_UNSAFE = callable_of("keras.config", "enable_unsafe_deserialization")
_CALLABLES = {
    "os.system": callable_of("os", "system", command="touch ran"),
    "builtins.eval": callable_of("builtins", "eval", source="open('ran', 'w')"),
    "subprocess.Popen": callable_of("subprocess", "Popen", args=["touch", "MARK"]),
    "a module beside the file": callable_of("evil_module", "Evil"),
}


def harmless(_: Path) -> Json:
    """A layer without any secret."""
    return Kit.layer("Flatten", "flat")


def sound_legacy(folder: Path) -> Path:
    """A legacy model whose Lambda names a function of its author's."""
    named = node("Lambda", "named", function="twice", function_type="function")
    return whole(folder / "m.h5", sequential(source(), node("Dense", "dense", units=2), named), {"dense": DENSE})


_SOUND = ("K-10", "X-1", "X-3")

CASES: list[Case] = [
    case(CHAPTER, "", archive(harmless), "", name="good: .keras"),
    case(CHAPTER, "", archive(harmless, lambda _: {"assets/a.txt": b"a"}), "", name="good: .keras with an asset"),
    case(CHAPTER, "", sound_legacy, "", name="good: a legacy model"),
    case(CHAPTER, "", weights, "", name="good: weights with a config", config=as_json(harmless)),
    case(CHAPTER, "Lambda with marshalled bytecode", archive(lambda_layer), "", *_SOUND),
    *(
        case(CHAPTER, "`module`/`class_name` naming any importable callable", archive(layer), "", *_SOUND, name=name)
        for name, layer in _CALLABLES.items()
    ),
    *(
        case(
            CHAPTER,
            "`module`/`class_name` naming any importable callable",
            weights,
            "",
            *_SOUND,
            name=f"{name}, in a config beside the weights",
            config=as_json(layer),
        )
        for name, layer in _CALLABLES.items()
    ),
    case(CHAPTER, "legacy H5 ignoring safe_mode", legacy_lambda, "", "KH-8", *_SOUND),
    *(
        case(
            CHAPTER,
            "`vocabulary` naming a local file",
            archive(vocabulary(kind)),
            "",
            *_SOUND,
            name=f"vocabulary of {kind}",
        )
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization")
    ),
    case(CHAPTER, "TorchModuleWrapper", archive(torch_module), "", *_SOUND),
    case(
        CHAPTER,
        "get_file archives with path traversal",
        archive(get_file, lambda at: {"evil.tar": traversing(at)}),
        "",
        *_SOUND,
    ),
    # Bytecode in the config of a Lambda ran when a model was loaded.
    case(CHAPTER, "CVE-2024-3660", archive(lambda_layer), "", *_SOUND),
    # The config of a `.keras` file named any function of any module, which was called with the file's arguments.
    case(CHAPTER, "CVE-2025-1550", archive(function_of("builtins", "exec", "open('ran', 'w')")), "", *_SOUND),
    # Functions inside of Keras, such as that which fetches and unpacks files, were still called in safe mode.
    case(CHAPTER, "CVE-2025-8747", archive(get_file), "", *_SOUND),
    case(
        CHAPTER,
        "CVE-2025-8747",
        whole_config(get_file),
        "",
        *_SOUND,
        name="CVE-2025-8747 in place of the model",
    ),
    # A legacy file's Lambda ran, whatever the caller said of a safe mode.
    case(CHAPTER, "CVE-2025-9905", lambda folder: legacy_lambda(folder, safe_mode=False), "", "KH-8", *_SOUND),
    # The config called the function that switches the safe mode off.
    case(CHAPTER, "CVE-2025-9906", archive(_UNSAFE), "", *_SOUND),
    case(
        CHAPTER,
        "CVE-2025-9906",
        whole_config(_UNSAFE),
        "",
        *_SOUND,
        name="CVE-2025-9906 in place of the model",
    ),
    # The weights of a `.keras` file lay in a file of the reader's machine.
    case(CHAPTER, "CVE-2026-1669", external_weights, "hdf5-external", "K-32"),
    # Shapes that are only declared were allocated.
    case(CHAPTER, "CVE-2026-0897", shape_bomb, "limit-foreign", "K-39", "X-2"),
    case(CHAPTER, "CVE-2026-0897", shape_of({"units": 2**40}), "", "X-2", name="CVE-2026-0897 in the config"),
]
