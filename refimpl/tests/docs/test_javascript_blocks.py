"""The blocks `js` of README.md, which show calls of the JavaScript package: run by Node, on a local server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pages import README, REPOSITORY, blocks

import etui
from etui.testing import npm
from etui.testing.servers import web_server

pytestmark = [pytest.mark.library, pytest.mark.node, pytest.mark.frameworks]

MAKES = """
import numpy as np, keras, etui
keras.utils.set_random_seed(0)
inputs = keras.Input((3,), name="x")
model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))
etui.keras.save(model, "model.etui")
np.save("expected.npy", np.asarray(model(np.ones((1, 3), "float32"))))
"""
BEFORE = """
import { createRequire } from 'node:module';
const tf = createRequire(process.argv[2] + '/')('@tensorflow/tfjs');
await tf.setBackend('cpu');
"""
AFTER = """
console.log(JSON.stringify({
  kernel: Array.from(await model.weights.get('dense/kernel').tensor.values()),
  predicted: Array.from(layers.predict(tf.ones([1, 3])).dataSync()),
}));
"""


def test_the_calls_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    """A model behind a URL is opened by ranges, its numbers are those of Python, and it predicts what Keras does."""
    shown = [block.text for block in blocks(README.read_text(encoding="utf-8")) if block.language == "js"]
    assert len(shown) == 1
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(REPOSITORY / "refimpl"),
        "PYTHONWARNINGS": "",
    }
    subprocess.run([sys.executable, "-c", MAKES], cwd=tmp_path, env=environment, check=True, capture_output=True)
    package = tmp_path / "node_modules" / "etui"
    package.mkdir(parents=True)
    bundle = npm.bundle(npm.package(REPOSITORY / "refimpl" / "js"), package, "index.ts", "tfjs/index.ts")
    places = {
        name: f"./{(bundle / file).relative_to(package)}"
        for name, file in ((".", "index.js"), ("./tfjs", "tfjs/index.js"))
    }
    (package / "package.json").write_text(json.dumps({"name": "etui", "type": "module", "exports": places}))
    with web_server() as web:
        web.files["model.etui"] = (tmp_path / "model.etui").read_bytes()
        code = f"{BEFORE}\n{shown[0]}\n{AFTER}"
        assert "https://example.org" in code
        (tmp_path / "run.mjs").write_text(code.replace("https://example.org", web.url), encoding="utf-8")
        command = ["node", "run.mjs", str(npm.tensorflowjs())]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        asked = web.take()
    found = json.loads(done.stdout.splitlines()[-1])
    weights = etui.open(tmp_path / "model.etui").weights
    assert weights is not None
    kernel = weights["dense/kernel"].numpy()
    assert np.array_equal(np.float32(found["kernel"]).reshape(kernel.shape), kernel)
    np.testing.assert_allclose([found["predicted"]], np.load(tmp_path / "expected.npy"), rtol=1e-5)
    assert asked
    assert all(one.range and one.status == 206 for one in asked)
