"""What an artifact names is data: nothing of it is run, imported, opened or called."""

from __future__ import annotations

import ast
import base64
import json as text_json
import marshal
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.canonical import values
from etui.canonical.values import ObjectValue
from etui.containers.config import Config, Module
from etui.error_codes import ERROR_CODES
from etui.model import Blob, Model
from etui.testing.hostile import parts_of
from etui.testing.samples import everything
from etui.testing.storage import write

HERE = Path(__file__).parent


class Trap:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def trapped(mark: Path, secret: Path) -> Model:
    """A model that names code in every way that the frameworks' own files do."""
    code = compile(f"open({str(mark)!r}, 'w')", "<lambda>", "exec")
    program = f"import pathlib\npathlib.Path({str(mark)!r}).write_text('ran')\n".encode()
    attrs = {
        "function": {"class_name": "__lambda__", "config": {"code": base64.b64encode(marshal.dumps(code)).decode()}},
        "module": "os",
        "class_name": "system",
        "registered_name": "builtins>eval",
        "vocabulary": str(secret),
        "url": "http://127.0.0.1:9/model",
        "object": ObjectValue("keras:os.system", [f"touch {mark}"], residue={"keras": {"module": "os"}}),
        "own": ObjectValue("custom:subprocess>Popen", {"args": ["touch", str(mark)]}),
        "pickle": pickle.dumps(Trap(mark)),
    }
    layer = Module("lambda", op="keras:Lambda", attrs=attrs)
    model = everything()
    assert model.config is not None
    model.config = Config(Module("trap", "opaque", "custom:os>system", attrs, modules=[layer]))
    assert model.optimizer is not None
    model.optimizer.optimizers["optimizer"].residue = {"keras": attrs}
    model.programs = {"programs/main/main.py": Blob.of(program, "text/x-python")}
    model.assets["assets/__init__.py"] = Blob.of(program)
    kept = model.bind(Blob.of(pickle.dumps(Trap(mark))), "torch", None, "config.json")
    model.native = {"native/torch/model.pkl": kept}
    model.metadata = attrs
    return model


@pytest.mark.clause("X-1@06793e", "A-2@e108b6", "G-2@5a38ed", "V-9@19ad5e", "X-3@44d7b3")
def test_reading_a_hostile_artifact_runs_and_opens_nothing_that_it_names(tmp_path: Path) -> None:
    """Opening, reading, verifying, validating and rewriting import, compile, call, connect to and open nothing."""
    mark, secret = tmp_path / "elsewhere" / "mark", tmp_path / "elsewhere" / "secret"
    folder = tmp_path / "artifacts"
    mark.parent.mkdir()
    folder.mkdir()
    secret.write_text("classified")
    write(folder / "harmless.etui", parts_of(everything()))
    write(folder / "hostile.etui", parts_of(trapped(mark, secret)))
    files = [str(folder / "harmless.etui"), str(folder / "hostile.etui")]
    command = [sys.executable, str(HERE / "watched_reader.py"), *files]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=300)
    assert text_json.loads(done.stdout) == ["compile b'1'"]  # the last note says that the watch was awake
    assert not mark.exists()
    assert b"classified" not in (folder / "hostile.etui.copy").read_bytes()


@pytest.mark.clause("X-3@44d7b3", "V-9@19ad5e", "C-10@b7635b", "T-4@3033cf")
def test_custom_classes_stay_data() -> None:
    """A class that the author registered comes back as its name and config, also where Python could import it."""
    made = ObjectValue("custom:os>system", {"args": ["true"]})
    model = Model(Config(Module("m", op="custom:os>system", attrs={"a": made})), training=etui.Training(loss=made))
    with etui.open(parts_of(model)) as opened:
        assert opened.config is not None
        assert opened.training is not None
        assert opened.config.model.op == "custom:os>system"
        assert values.equal(opened.config.model.attrs["a"], made)
        assert values.equal(opened.training.loss, made)


def texts_of(files: Iterable[Path]) -> set[str]:
    """Every text that stands in the code of files."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


# The first letters of the clauses of the annexes on Keras, PyTorch and JAX, and on programs.
BRIDGES = ("K", "PT", "JX", "PG")


@pytest.mark.library
def test_every_code_of_an_artifact_is_provoked_by_a_test() -> None:
    """Each code of SPEC.md that is not about other formats stands in a test of faults."""
    codes = {code for code, row in ERROR_CODES.items() if row.clause and not row.clause.startswith(BRIDGES)}
    assert len(codes) > 80
    core = HERE.parent / "core"
    folders = (HERE, HERE.parent / "signing", HERE.parent / "storage", core, core / "rules")
    files = [*(HERE / "catalogue").glob("*.py"), *(file for folder in folders for file in folder.glob("test_*.py"))]
    assert codes - texts_of(files) == set()


@pytest.mark.library
def test_every_code_of_other_formats_is_provoked_by_a_test() -> None:
    """Each code of the annexes of SPEC.md on other formats stands in a test or in a script of one."""
    codes = {code for code, row in ERROR_CODES.items() if row.clause and row.clause.startswith(BRIDGES)}
    assert len(codes) > 50
    assert codes - texts_of(HERE.parent.rglob("*.py")) == set()
