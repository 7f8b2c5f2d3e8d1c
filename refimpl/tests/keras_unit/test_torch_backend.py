"""Files that Keras on PyTorch wrote, whose optimizers are of classes of that backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import etui
from etui.bridges.keras.names import class_of

SHAPES = Path(__file__).parents[2] / "examples" / "models" / "shapes.keras"
MODULE = "keras.src.backend.torch.optimizers.torch_adamw"


@pytest.fixture
def written_on_torch(tmp_path: Path) -> Path:
    """The demo's model as Keras on PyTorch writes it: the same but for the optimizer's class."""
    target = tmp_path / "torch.keras"
    with zipfile.ZipFile(SHAPES) as source, zipfile.ZipFile(target, "w") as made:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "config.json":
                config = json.loads(data)
                node = config["compile_config"]["optimizer"]
                assert node["module"] == "keras.optimizers"
                node |= {"module": MODULE, "registered_name": "AdamW"}
                data = json.dumps(config).encode()
            made.writestr(entry.filename, data)
    return target


@pytest.mark.clause("K-6@160278")
@pytest.mark.parametrize("name", ["Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Lion", "Nadam", "RMSprop", "SGD"])
def test_an_optimizer_of_the_torch_backend_has_the_name_of_the_exported_class(name: str) -> None:
    """The class that `keras.optimizers.Adam` makes on PyTorch is `keras:Adam` all the same."""
    module = f"keras.src.backend.torch.optimizers.torch_{name.lower()}"
    assert class_of(module, name, name) == f"keras:optimizers.{name}"
    assert class_of("keras.src.backend.torch.layer", name, name) == f"keras:src.backend.torch.layer.{name}"


@pytest.mark.clause("K-6@160278")
def test_training_that_began_on_torch_goes_on_elsewhere(written_on_torch: Path, tmp_path: Path) -> None:
    """Its optimizer is translated to the core vocabulary, with its step and slots, as that of another backend is."""
    report = etui.convert(written_on_torch, tmp_path / "core.etui", vocabulary="core")
    assert report.ok
    optimizer = etui.open(tmp_path / "core.etui").optimizer
    assert optimizer is not None
    entry = optimizer.optimizers["optimizer"]
    assert (entry.algorithm, entry.step) == ("core:adam", 96)
    assert len(entry.slots) == 8


@pytest.mark.library
def test_a_file_of_the_torch_backend_comes_back(written_on_torch: Path, tmp_path: Path) -> None:
    """Written as Keras' own file again it has the class that it had."""
    etui.convert(written_on_torch, tmp_path / "copy.etui")
    etui.convert(tmp_path / "copy.etui", tmp_path / "back.keras")
    assert etui.diff(written_on_torch, tmp_path / "back.keras").same
    with zipfile.ZipFile(tmp_path / "back.keras") as archive:
        node = json.loads(archive.read("config.json"))["compile_config"]["optimizer"]
    assert (node["module"], node["class_name"]) == (MODULE, "AdamW")


LOADS = """
import sys, keras, etui
model = etui.keras.load(sys.argv[1], strict=False)  # JAX and PyTorch keep the seed of Dropout in different dtypes
print(type(model.optimizer).__module__, int(model.optimizer.iterations))
etui.keras.save(model, sys.argv[2])
"""


@pytest.mark.library
@pytest.mark.frameworks
def test_a_live_model_has_the_optimizer_of_its_backend(written_on_torch: Path, tmp_path: Path) -> None:
    """What Keras on PyTorch wrote gets JAX' optimizer on JAX, and what is saved on PyTorch has the exported class."""
    found: list[list[str]] = []
    source = written_on_torch
    for backend in ("jax", "torch", "jax"):
        target = tmp_path / f"{len(found)}.etui"
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", LOADS, str(source), str(target)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
        optimizer = etui.open(target).optimizer
        assert optimizer is not None
        assert optimizer.optimizers["optimizer"].algorithm == "keras:AdamW"
        assert "torch" not in str(optimizer.optimizers["optimizer"].residue)
        source = target
    assert found == [["keras.src.optimizers.adamw", "96"], [MODULE, "96"], ["keras.src.optimizers.adamw", "96"]]
