"""The JSON of a model's config in every version of Keras, and YAML (SPEC.md, annex D.2)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import bridges, conversion
from etui.bridges.keras import model_json
from etui.bridges.keras.patches import same
from etui.limits import DEFAULT_LIMITS, Limits
from etui.report import Report

KERAS_1 = {
    "class_name": "Sequential",
    "config": [
        {
            "class_name": "Dense",
            "config": {
                "name": "dense_1",
                "batch_input_shape": [None, 4],
                "input_dtype": "float32",
                "output_dim": 3,
                "init": "glorot_uniform",
                "activation": "relu",
                "trainable": True,
                "bias": True,
                "input_dim": 4,
                "W_regularizer": None,
                "b_regularizer": None,
                "activity_regularizer": None,
                "W_constraint": None,
                "b_constraint": None,
            },
        }
    ],
    "keras_version": "1.2.2",
}
KERAS_2 = {
    "class_name": "Sequential",
    "config": {
        "name": "sequential_1",
        "layers": [
            {
                "class_name": "Dense",
                "config": {
                    "name": "dense_1",
                    "trainable": True,
                    "batch_input_shape": [None, 4],
                    "dtype": "float32",
                    "units": 3,
                    "activation": "relu",
                    "use_bias": True,
                    "kernel_initializer": {"class_name": "Zeros", "config": {}},
                },
            }
        ],
    },
    "keras_version": "2.2.4",
    "backend": "tensorflow",
}
KERAS_2_YAML = """\
backend: tensorflow
class_name: Sequential
config:
  layers:
  - class_name: Dense
    config: &one
      activation: relu
      batch_input_shape: !!python/tuple [null, 4]
      dtype: float32
      kernel_initializer:
        class_name: Zeros
        config: {}
      name: dense_1
      trainable: true
      units: 3
      use_bias: true
  name: sequential_1
keras_version: 2.2.4
"""


def put(path: Path, tree: Any) -> Path:
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def read(path: Path, report: Report | None = None, **options: Any) -> etui.Model:
    return model_json.read(path, report or Report(), limits=Limits(), **options)


def written(model: etui.Model, path: Path) -> Any:
    model_json.write(model, path, Report(), strict=True)
    return json.loads(path.read_text())


def ops(model: etui.Model) -> list[str]:
    assert model.config is not None
    return [module.op for _, module in model.config.walk()]


def refusal(path: Path, limits: Limits | None = None) -> str | None:
    try:
        model_json.read(path, Report(), limits=limits or Limits())
    except etui.RejectError as found:
        return found.code
    return None


@pytest.fixture
def compiled(kit: Any) -> dict[str, Any]:
    """The node of a compiled model."""
    tree: dict[str, Any] = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam", beta_1=0.5)))
    return tree


@pytest.mark.library
def test_documents_are_known_by_their_content(tmp_path: Path) -> None:
    """JSON with a class and its config, and YAML with the same, are told under any name; other files are not."""
    known = [KERAS_1, KERAS_2, KERAS_2_YAML, "\n " + json.dumps(KERAS_2)]
    others = [
        "{}",
        '{"class_name": 1, "config": {}}',
        "[]",
        '{"class_name": "A"',
        "class_name: A\n",
        '{"weight_map": {}}',
    ]
    found = []
    for tree in [*known, *others]:
        bridge = bridges.recognise(put(tmp_path / "file", tree))
        found.append(bridge.name if bridge is not None else None)
    assert found[: len(known)] == ["keras-json"] * len(known)
    assert "keras-json" not in found[len(known) :]


@pytest.mark.clause("KW-17@2e5439")
@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ({"keras_version": "3.0.0"}, "keras"),
        ({"keras_version": "2.15.0", "module": "keras"}, "tf_keras"),
        ({"keras_version": "1.2.2"}, "tf_keras"),
        ({}, "tf_keras"),
        ({"module": "keras"}, "keras"),
        ({"module": "keras.src.models.functional"}, "keras"),
        ({"module": "keras.src.engine.functional"}, "tf_keras"),
        ({"module": "tf_keras.src.engine.functional"}, "tf_keras"),
        ({"module": None}, "tf_keras"),
        ({"module": "my_models"}, "keras"),
    ],
)
def test_the_dialect_is_told_by_version_and_module(fields: dict[str, Any], dialect: str) -> None:
    """A version decides; without one, the module of the class does."""
    assert model_json.dialect_of({"class_name": "A", "config": {}} | fields) == dialect


@pytest.mark.clause("KW-18@8ce9f5", "KW-19@358f01")
@pytest.mark.parametrize("native", [True, False])
def test_keras_3_is_written_as_it_was_read(compiled: dict[str, Any], tmp_path: Path, native: bool) -> None:
    """The JSON is equal, compile config and optimizer included, with and without the document that was kept."""
    source = put(tmp_path / "model.json", compiled)
    etui.convert(source, tmp_path / "model.etui", native=native)
    report = etui.convert(tmp_path / "model.etui", tmp_path / "back.json")
    assert same(json.loads((tmp_path / "back.json").read_text()), compiled)
    assert report.ok
    assert not native or (tmp_path / "back.json").read_bytes() == source.read_bytes()
    with etui.open(tmp_path / "model.etui") as model:
        assert (model.weights, model.optimizer) == (None, None)
        assert model.training is not None
        assert model.training.loss == "mse"
        kept = model.training.residue["keras"]["fields"]["optimizer"]
        assert (kept["class_name"], kept["config"]["beta_1"]) == ("Adam", 0.5)


@pytest.mark.clause("KW-18@8ce9f5")
def test_json_as_a_config_gives_the_optimizer_back(kit: Any, compiled: dict[str, Any], tmp_path: Path) -> None:
    """Weights that are read with the JSON have the optimizer that it describes."""
    put(tmp_path / "model.json", compiled)
    whole = kit.write(compiled, kit.dense_arrays() | {"optimizer/vars/0": 2, "optimizer/vars/1": 0.5})
    etui.convert(whole, tmp_path / "x.weights.h5")
    with conversion.read(tmp_path / "x.weights.h5", config=tmp_path / "model.json")[0] as model:
        assert model.optimizer is not None
        adam = model.optimizer.optimizers["optimizer"]
        assert (adam.algorithm, adam.step, adam.hyperparameters["beta_1"]) == ("keras:Adam", 2, 0.5)


@pytest.mark.clause("KW-19@358f01")
@pytest.mark.parametrize(("tree", "version"), [(KERAS_1, "2.21.0"), (KERAS_2, "2.2.4")], ids=["1", "2"])
def test_older_versions_become_tf_keras(tree: dict[str, Any], version: str, tmp_path: Path) -> None:
    """Keras 1 and 2 are read as their dialect, and written as JSON that reads back as the same config."""
    report = Report()
    model = read(put(tmp_path / "old.json", tree), report)
    assert report.ok
    assert ops(model) == ["keras:Sequential", "keras:InputLayer", "keras:Dense"]
    back = written(model, tmp_path / "new.json")
    assert (back["class_name"], back["keras_version"], back["backend"]) == ("Sequential", version, "tensorflow")
    assert back["config"]["layers"][1]["config"]["units"] == 3
    again = read(tmp_path / "new.json", native=False)
    assert again.config is not None
    assert model.config is not None
    assert [(m.name, m.op, m.attrs) for _, m in again.config.walk()] == [
        (m.name, m.op, m.attrs) for _, m in model.config.walk()
    ]


@pytest.mark.clause("KW-19@358f01")
def test_an_older_document_is_not_written_as_a_newer_one(tmp_path: Path) -> None:
    """The document of Keras 1 is kept, but what is written is in the form that tf_keras loads."""
    source = put(tmp_path / "old.json", KERAS_1)
    etui.convert(source, tmp_path / "model.etui")
    with etui.open(tmp_path / "model.etui") as model:
        assert [native.blob.read() for native in model.native.values()] == [source.read_bytes()]
    etui.convert(tmp_path / "model.etui", tmp_path / "new.json")
    layers = json.loads((tmp_path / "new.json").read_text())["config"]["layers"]
    assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense"]


@pytest.mark.library
def test_weights_are_left_out_of_json(kit: Any, tmp_path: Path) -> None:
    """A whole model gives its config; the report says that weights and optimizer are not in it."""
    source = kit.write(kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam"))), kit.dense_arrays())
    report = etui.convert(source, tmp_path / "model.json")
    statuses = {entry.subject: entry.status for entry in report.entries}
    assert statuses["weights.json"] == statuses["optimizer.msgpack"] == "left-out"
    assert json.loads((tmp_path / "model.json").read_text())["compile_config"]["optimizer"]["class_name"] == "Adam"


@pytest.mark.library
def test_json_is_written_in_the_dialect_that_is_asked_for(tmp_path: Path) -> None:
    """The config of Keras 2 becomes that of Keras 3, and what is written for its own dialect stays as it is."""
    source = put(tmp_path / "old.json", KERAS_2)
    etui.convert(source, tmp_path / "same.json")
    etui.convert(source, tmp_path / "new.json", dialect="keras")
    same_one, new = (json.loads((tmp_path / name).read_text()) for name in ("same.json", "new.json"))
    assert same_one["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 4]
    assert new["config"]["layers"][0]["config"]["batch_shape"] == [None, 4]
    assert model_json.dialect_of(new) == "keras"


@pytest.mark.library
def test_a_config_alone_gives_no_keras_file(tmp_path: Path) -> None:
    """A model that has variables is not written without them."""
    source = put(tmp_path / "model.json", KERAS_2)
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(source, tmp_path / "model.keras")
    assert caught.value.code == "keras-parts"
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.library
def test_the_code_of_a_lambda_is_data(kit: Any, tmp_path: Path) -> None:
    """A Lambda layer's code is kept and named in the report, and written back as it was."""
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    tree = kit.sequential([kit.input("start", 4), kit.layer("Lambda", "odd", function=code, arguments={})])
    report = Report()
    model = read(put(tmp_path / "model.json", tree), report)
    assert [entry.subject for entry in report.entries if entry.kind == "code"] == ["odd"]
    assert same(written(model, tmp_path / "back.json"), tree)


@pytest.mark.clause("K-2@1b562f", "K-3@83a649")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"class_name": "A", "config": {}, "config": {}}', "keras-json"),
        ('{"class_name": "A", "config": {"a": "\\ud800"}}', "keras-json"),
        ('{"class_name": "A", "config": ' + '{"a": ' * 200 + "1" + "}" * 201, "keras-json"),
        ('{"class_name": "A", "config": ' + "[" * 100_000 + "]" * 100_000 + "}", "keras-json"),
        ('{"class_name": "A", "config": {"a": ' + "9" * 100_000 + "}}", "keras-json"),
        ('{"class_name": "A", "config": {}', "keras-json"),
        ('{"class_name": "Sequential", "config": {"layers": [1]}, "module": "keras"}', "keras-config"),
        ('{"class_name": "A", "conf": {}}', "keras-config"),
        ('{"class_name": "A", "config": 1}', "keras-config"),
        ("\ufeff" + json.dumps(KERAS_2), "keras-json"),
        ("", "keras-json"),
        ("- 1\n", "keras-json"),
    ],
    ids=[
        "twice",
        "surrogate",
        "deep",
        "deeper",
        "digits",
        "cut",
        "layers",
        "no config",
        "odd config",
        "mark",
        "nothing",
        "a list",
    ],
)
def test_faulty_json_is_refused(tmp_path: Path, text: str, code: str) -> None:
    """Each fault of the document or of its form has its code."""
    assert refusal(put(tmp_path / "model.json", text)) == code


@pytest.mark.library
def test_a_lowered_limit_holds(tmp_path: Path) -> None:
    """A document beyond the caller's limit is refused before it is decoded."""
    path = put(tmp_path / "model.json", KERAS_2)
    assert refusal(path, Limits(document_bytes=path.stat().st_size)) is None
    assert refusal(path, Limits(document_bytes=path.stat().st_size - 1)) == "limit-document"


@pytest.mark.clause("KW-20@bdc7cd")
def test_what_no_reader_takes_is_not_written(kit: Any, tmp_path: Path) -> None:
    """A config of too many values is refused before the target is touched."""
    model = kit.model(kit.sequential([kit.input("start", 4), kit.layer("Lambda", "odd", arguments=[0] * 1_000_001)]))
    with pytest.raises(etui.LimitError) as caught:
        model_json.write(model, tmp_path / "model.json", Report(), strict=True)
    assert caught.value.code == "limit-document"
    assert not (tmp_path / "model.json").exists()


# YAML


@pytest.mark.library
def test_yaml_is_the_same_as_json(tmp_path: Path) -> None:
    """The YAML of a model gives the config that its JSON gives; a tuple of Python is a list."""
    pytest.importorskip("yaml")
    one = read(put(tmp_path / "model.yaml", KERAS_2_YAML), native=False)
    two = read(put(tmp_path / "model.json", KERAS_2), native=False)
    etui.save(one, tmp_path / "one.etui")
    etui.save(two, tmp_path / "two.etui")
    assert etui.verify(tmp_path / "one.etui").identity == etui.verify(tmp_path / "two.etui").identity


@pytest.mark.library
def test_yaml_is_read_and_not_written(tmp_path: Path) -> None:
    """What is written is JSON, under any name."""
    pytest.importorskip("yaml")
    etui.convert(put(tmp_path / "model.yaml", KERAS_2_YAML), tmp_path / "back.yaml")
    assert json.loads((tmp_path / "back.yaml").read_text())["class_name"] == "Sequential"


@pytest.mark.library
def test_yaml_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML the message is the command that installs it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(etui.MissingExtraError, match=r'pip install "etui\[yaml\]"'):
        read(put(tmp_path / "model.yaml", KERAS_2_YAML))


def bomb(levels: int, width: int) -> str:
    lines = ["class_name: A", "config:", "  a0: &a0 [1]"]
    lines += [f"  a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * width)}]" for at in range(1, levels)]
    return "\n".join(lines)


YAML_FAULTS = {
    "an object": ("keras-yaml-tag", "class_name: A\nconfig: !!python/object/apply:os.system ['touch pwned']\n"),
    "a name": ("keras-yaml-tag", "class_name: A\nconfig: {a: !!python/name:os.system ''}\n"),
    "a module": ("keras-yaml-tag", "class_name: A\nconfig: {a: !!python/module:os ''}\n"),
    "an own tag": ("keras-yaml-tag", "class_name: A\nconfig: {a: !thing 1}\n"),
    "a date": ("keras-yaml-tag", "class_name: A\nconfig: {a: 2020-01-01}\n"),
    "bytes": ("keras-yaml-tag", "class_name: A\nconfig: {a: !!binary aGk=}\n"),
    "a set": ("keras-yaml-tag", "class_name: A\nconfig: {a: !!set {b}}\n"),
    "aliases": ("limit-document", bomb(30, 10)),
    "an alias of itself": ("limit-document", "class_name: A\nconfig: &a {b: *a}\n"),
    "depth": ("limit-document", "class_name: A\nconfig:\n  a: " + "[" * 500 + "]" * 500 + "\n"),
    "length": ("limit-document", "class_name: A\nconfig: {}\n#" + "x" * (4 << 20)),
    "a key twice": ("keras-yaml", "class_name: A\nconfig: {}\nconfig: {}\n"),
    "a number as key": ("keras-yaml", "class_name: A\nconfig: {1: 2}\n"),
    "a merge": ("keras-yaml", "class_name: A\nbase: &b {c: 1}\nconfig: {<<: *b}\n"),
    "two documents": ("keras-yaml", "class_name: A\nconfig: {}\n---\nclass_name: B\n"),
    "an unknown alias": ("keras-yaml", "class_name: A\nconfig: *b\n"),
    "no text": ("keras-yaml", "class_name: A\nconfig: {}\na: \x01\n"),
    "digits": ("keras-yaml", "class_name: A\nconfig: {a: " + "9" * 100_000 + "}\n"),
    "a list": ("keras-yaml", "[a,\nclass_name: A,\nconfig: 1]\n"),
    "no end": ("keras-yaml", "class_name: A\nconfig: [1, 2\n"),
}


@pytest.mark.clause("KW-14@7c799e", "KW-15@c76256", "KW-16@e6c8c3")
@pytest.mark.parametrize("fault", YAML_FAULTS)
def test_faulty_yaml_is_refused(tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault has its code, and nothing that a tag names is done."""
    pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    code, text = YAML_FAULTS[fault]
    assert refusal(put(tmp_path / "model.yaml", text)) == code
    assert not (tmp_path / "pwned").exists()


@pytest.mark.clause("KW-14@7c799e")
def test_yaml_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text are refused."""
    pytest.importorskip("yaml")
    (tmp_path / "model.yaml").write_bytes(b"class_name: \xff\nconfig: {}\n")
    assert refusal(tmp_path / "model.yaml") == "keras-yaml"


@pytest.mark.library
def test_a_model_of_keras_3_without_modules_keeps_its_version(tmp_path: Path) -> None:
    """A config that only its version says to be of Keras 3 is one again when it was written and read."""
    layer = {"class_name": "Dense", "config": {"activation": "relu"}}
    tree = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}, "keras_version": "3.2.4"}
    (tmp_path / "a.json").write_text(json.dumps(tree))
    with model_json.read(tmp_path / "a.json", Report(), limits=DEFAULT_LIMITS, native=False) as model:
        model_json.write(model, tmp_path / "b.json", Report(), strict=False, limits=DEFAULT_LIMITS)
    assert json.loads((tmp_path / "b.json").read_text()) == tree
    with model_json.read(tmp_path / "b.json", Report(), limits=DEFAULT_LIMITS, native=False) as again:
        assert again.config == model.config


@pytest.mark.library
def test_a_layer_without_calls_is_written_as_one_that_is_never_called(tmp_path: Path) -> None:
    """A layer of a graph that lacks its list of calls is read, and what is written of it is read again."""
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 3], "name": "a"},
            "name": "a",
            "inbound_nodes": [],
        },
        {"class_name": "ReLU", "config": {"name": "b"}, "name": "b"},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["a", 0, 0]], "output_layers": [["a", 0, 0]]}
    (tmp_path / "a.json").write_text(
        json.dumps({"class_name": "Functional", "config": config, "keras_version": "2.15.0"})
    )
    with model_json.read(tmp_path / "a.json", Report(), limits=DEFAULT_LIMITS, native=False) as model:
        model_json.write(model, tmp_path / "b.json", Report(), strict=False, limits=DEFAULT_LIMITS)
    with model_json.read(tmp_path / "b.json", Report(), limits=DEFAULT_LIMITS, native=False) as again:
        assert again.config == model.config
