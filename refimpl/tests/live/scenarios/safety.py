"""What a file cannot have a load do."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

import json
import random
import sys
import zipfile
from pathlib import Path
from typing import Any

import etui

from .base import FRAMEWORK, KERAS3, Refused, everywhere, k, once, predict, values

TRAP = "etui_trap_module"


def small(layer: Any = None) -> Any:
    """One dense layer, and perhaps another one before it."""
    inputs = k.Input((4,))
    hidden = inputs if layer is None else layer(inputs)
    return k.Model(inputs, k.layers.Dense(2, name="head")(hidden))


def changed(place: Path, change: Any) -> Path:
    """A `.keras` file of a small model whose config was changed by hand."""
    small().save(place / "good.keras")
    with zipfile.ZipFile(place / "good.keras") as source, zipfile.ZipFile(place / "bad.keras", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                tree = json.loads(data)
                change(tree)
                data = json.dumps(tree).encode()
            target.writestr(name, data)
    return place / "bad.keras"


def dense_of(tree: Any) -> Any:
    """The node of the dense layer."""
    return next(node for node in tree["config"]["layers"] if node["class_name"] == "Dense")


@once
def lambdas_are_not_run(place: Path) -> None:
    model = small(k.layers.Lambda(lambda x: x * 2.0, name="twice"))
    etui.keras.save(model, place / "model.etui")
    with Refused("live-code") as refused:
        etui.keras.load(place / "model.etui")
    assert "twice" in refused.text
    # The rest of the file is there, and converts.
    with etui.open(place / "model.etui") as stored:
        assert stored.weights["head/kernel"].shape == (4, 2)
    report = etui.convert(place / "model.etui", place / "model.keras", dialect=FRAMEWORK)
    assert report.ok
    other = small()
    etui.keras.load_weights(other, place / "model.etui")
    assert values(other) == values(model)
    # A copy in memory is of objects that are there already.
    copy = etui.keras.clone(model)
    assert predict(copy).tobytes() == predict(model).tobytes()


@once
def nothing_is_imported(place: Path) -> None:
    (place / f"{TRAP}.py").write_text("raise SystemExit('imported')\n")
    sys.path.insert(0, str(place))
    try:

        def other_class(tree: Any) -> None:
            dense_of(tree).update(module=TRAP, class_name="Dense", registered_name="Trap")

        def other_function(tree: Any) -> None:
            node = {"module": TRAP, "class_name": "function", "config": "run", "registered_name": "run"}
            dense_of(tree)["config"]["activation"] = node

        for at, change in enumerate((other_class, other_function)):
            folder = place / str(at)
            folder.mkdir()
            with Refused("live-custom-missing"):
                etui.keras.load(changed(folder, change))
            assert TRAP not in sys.modules
    finally:
        sys.path.remove(str(place))


@once
def only_parts_of_models(place: Path) -> None:
    def downloads(tree: Any) -> None:
        node = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}
        dense_of(tree)["config"]["activation"] = node

    def lambdas(tree: Any) -> None:
        code = {"class_name": "__lambda__", "config": {"code": "4wAA", "defaults": None, "closure": None}}
        dense_of(tree)["config"]["kernel_initializer"] = code

    for at, change in enumerate((downloads, lambdas)):
        folder = place / str(at)
        folder.mkdir()
        with Refused("live-code") as refused:
            etui.keras.load(changed(folder, change))
        assert "head" in refused.text


@everywhere
def no_file_is_opened(place: Path) -> None:
    secret = place / "secret.txt"
    secret.write_text("a\nb\n")
    layer = k.layers.StringLookup(vocabulary=["a", "b"], name="words")
    inputs = k.Input((1,), dtype="string")
    model = k.Model(inputs, layer(inputs)) if FRAMEWORK == "tf_keras" else None
    if model is None:
        if k.backend.backend() != "tensorflow":
            return  # only TensorFlow has strings
        model = k.Model(inputs, layer(inputs))
    model.save(place / "good.keras")
    with zipfile.ZipFile(place / "good.keras") as source, zipfile.ZipFile(place / "bad.keras", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                tree = json.loads(data)
                node = next(node for node in tree["config"]["layers"] if node["class_name"] == "StringLookup")
                node["config"]["vocabulary"] = str(secret)
                data = json.dumps(tree).encode()
            target.writestr(name, data)
    with Refused("live-code") as refused:
        etui.keras.load(place / "bad.keras")
    assert "words" in refused.text


@once
def missing_classes_are_named(place: Path) -> None:
    class Scale(k.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    class Ring(k.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return (y_true - y_pred) ** 2

    name = "shapes>Scale"
    registered = k.saving.get_custom_objects()
    registered[name] = Scale
    k.saving.register_keras_serializable(package="shapes")(Scale)
    k.saving.register_keras_serializable(package="shapes")(Ring)
    model = small(Scale(name="double"))
    model.compile("sgd", Ring())
    etui.keras.save(model, place / "model.etui")
    for known in (name, "shapes>Ring"):
        registered.pop(known, None)
    with Refused("live-custom-missing") as refused:
        etui.keras.load(place / "model.etui")
    for word in ("Scale", "shapes", "double", "Ring", "training.json"):
        assert word in refused.text, word
    # What does not need the class is there.
    with etui.open(place / "model.etui") as stored:
        assert {module.op for _, module in stored.config.walk()} >= {"custom:shapes>Scale", "keras:Dense"}
    assert etui.convert(place / "model.etui", place / "model.keras", dialect=FRAMEWORK).ok
    other = small()
    etui.keras.load_weights(other, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui", custom_objects={"Scale": Scale, "Ring": Ring})
    assert values(loaded) == values(other) == values(model)


def leaves(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON tree that holds a value: the map or list, and the key or index."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            found.append((node, key))
            if isinstance(value, dict | list):
                stack.append(value)
    return found


@once
def changed_configs_are_refused_with_a_code(place: Path) -> None:
    rng = random.Random(20261)
    odd = [None, True, -1, 0, 3, 1.5, "", "Dense", "keras.layers", [], [1, "a"], {}, {"class_name": "x", "config": {}}]
    refused = loaded = 0
    for at in range(120):

        def change(tree: Any) -> None:
            node, key = rng.choice(leaves(tree))
            node[key] = rng.choice(odd)

        folder = place / str(at)
        folder.mkdir()
        path = changed(folder, change)
        try:
            etui.keras.load(path)
        except etui.EtuiError:
            refused += 1
        else:
            loaded += 1
    assert refused > 30
    assert loaded > 5


@once
def a_config_that_cannot_be_built(place: Path) -> None:
    def negative(tree: Any) -> None:
        dense_of(tree)["config"]["units"] = -3

    with Refused("live-build") as refused:
        etui.keras.load(changed(place, negative))
    assert FRAMEWORK in refused.text
    etui.keras.save(small(), place / "weights.etui", include="weights")
    with Refused("live-config"):
        etui.keras.load(place / "weights.etui")
    with Refused("format-unknown"):
        (place / "odd.bin").write_bytes(b"no model at all")
        etui.keras.load(place / "odd.bin")
    assert KERAS3 or FRAMEWORK == "tf_keras"
