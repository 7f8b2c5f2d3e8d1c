"""Every block of the page javascript.md is run: in a shell, in Python, in Node and in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.weights import Weights
from etui.model import Model
from etui.testing import npm
from etui.testing.servers import Web, web_server

pytestmark = [pytest.mark.node, pytest.mark.frameworks, pytest.mark.library]

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "refimpl" / "docs" / "javascript.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Only what npm fetches by itself is left to the network: from its cache where that has it.
SHELL = {"npm_config_prefer_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"}
MINUTES = 5
BOUND = 1e-5


def blocks(language: str) -> list[str]:
    """The blocks of a language, in the order of the page."""
    return [text for found, text in FENCE.findall(PAGE.read_text(encoding="utf-8")) if found == language]


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What a command prints, or a failed test."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> tuple[Path, list[list[float]]]:
    """The project that the page makes in a checkout, with the model, and what Keras predicts."""
    checkout = tmp_path_factory.mktemp("checkout")
    leave = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(REPOSITORY / "refimpl" / "js", checkout / "refimpl" / "js", ignore=leave)
    (console,) = blocks("console")
    lines = [line.removeprefix("$ ") for line in console.splitlines()]
    assert all(line.startswith("$ ") for line in console.splitlines())
    run(["bash", "-e", "-c", "\n".join(lines)], checkout, **SHELL)
    (python,) = blocks("python")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
    printed = run([sys.executable, "-c", python], checkout / "site", PYTHONPATH=str(REPOSITORY / "refimpl"), **quiet)
    return checkout / "site", json.loads(printed.splitlines()[-1])


def script(folder: Path, number: int) -> list[str]:
    """What the block `js` of a number prints."""
    path = folder / f"block{number}.mjs"
    path.write_text(blocks("js")[number], encoding="utf-8")
    return run(["node", str(path)], folder).splitlines()


def test_the_page_has_the_blocks_that_are_run_here() -> None:
    """No block of another kind, or one more of these, is left out."""
    kinds = [language for language, _ in FENCE.findall(PAGE.read_text(encoding="utf-8"))]
    assert kinds == ["console", "python", "js", "js", "html", "js"]


def test_a_model_is_opened_in_node(site: tuple[Path, Any]) -> None:
    """The first block tells what is in the file, down to the numbers of a kernel."""
    folder, _ = site
    printed = "\n".join(script(folder, 0))
    with etui.open(folder / "model.etui") as model:
        assert model.weights is not None
        assert model.digest is not None
        kernel = model.weights["edges/kernel"].numpy()
        assert printed.startswith(f"{model.digest} ")
    assert "classes keras:Dense" in printed
    assert "[ 3, 3, 1, 4 ]" in printed
    found = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", printed[printed.index("Float32Array") :])
    np.testing.assert_allclose([float(one) for one in found], kernel[0, 0, 0], rtol=1e-6)


def test_a_model_predicts_in_node(site: tuple[Path, Any]) -> None:
    """The second block predicts what Keras predicts, and prints the report."""
    folder, expected = site
    printed = [line for line in script(folder, 1) if line]
    (outputs,) = [json.loads(line) for line in printed if line.startswith("[[")]
    np.testing.assert_allclose(outputs, expected, atol=BOUND)
    for line in ("variable restored classes/kernel ", "training left-out training.json "):
        assert any(one.startswith(line) for one in printed)


def test_what_cannot_be_had_is_listed(site: tuple[Path, Any]) -> None:
    """The last block prints the code and each layer that is to blame."""
    folder, _ = site
    start = Module("start", op="keras:InputLayer", attrs={"batch_shape": [None, 1], "dtype": "int64"})
    words = Module("words", op="keras:Hashing", attrs={"num_bins": 3})
    calls = [Call("start", "start"), Call("words", "words", [OutputRef("start", 0)])]
    graph = Graph(OutputRef("start", 0), OutputRef("words", 0), calls)
    root = Module("model", "graph", "keras:Functional", modules=[start, words], graph=graph)
    etui.save(Model(config=Config(root), weights=Weights()), folder / "words.etui")
    printed = script(folder, 2)
    assert printed[-2:] == ["tfjs-layers", "words (keras:Hashing): TensorFlow.js has no layer Hashing"]


@pytest.fixture
def served(site: tuple[Path, Any]) -> Iterator[Web]:
    """The page's HTML, the package as it is installed, and the model."""
    folder, _ = site
    installed = folder / "node_modules" / "etui" / "dist" / "src"
    (html,) = blocks("html")
    with web_server() as web:
        kinds = {".js": "text/javascript", ".html": "text/html"}
        web.files = {f"etui/{path.relative_to(installed)}": path.read_bytes() for path in installed.rglob("*.js")}
        web.files |= {"index.html": html.encode(), "model.etui": (folder / "model.etui").read_bytes()}
        web.files["favicon.ico"] = b""
        for name in web.files:
            if (kind := kinds.get(Path(name).suffix)) is not None:
                web.behaviours[name] = _sent_as(kind)
        yield web


def _sent_as(kind: str) -> Callable[[Any, bytes], None]:
    return lambda handler, data: handler.send(200, data, Content_Type=kind)


@pytest.mark.browser
def test_a_model_predicts_in_a_page(served: Web, site: tuple[Path, Any], browser: Any) -> None:
    """The page loads the model by its URL, then the one that a user chooses, and shows what Keras predicts for both."""
    folder, expected = site
    library = npm.tensorflowjs() / "@tensorflow" / "tfjs" / "dist" / "tf.min.js"
    complaints: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(path=str(library)))
    page.goto(f"{served.url}/index.html")
    for again in (False, True):
        if again:
            page.evaluate("document.querySelector('output').textContent = ''")
            page.set_input_files("input", str(folder / "model.etui"))
        page.wait_for_function("document.querySelector('output').textContent !== ''")
        outputs = json.loads(page.inner_text("output"))
        np.testing.assert_allclose(outputs, expected, atol=BOUND)
    page.close()
    assert complaints == []
