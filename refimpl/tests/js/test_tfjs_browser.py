"""A page opens an etui by its URL and predicts by TensorFlow.js, without a server that knows of either."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.testing import npm
from etui.testing.servers import Web, web_server

pytestmark = [pytest.mark.node, pytest.mark.browser, pytest.mark.frameworks, pytest.mark.library]

Json = Any
BOUND = 1e-5
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>predict</title>
<link rel="icon" href="data:,">
<script src="tf.min.js"></script>
<script type="module">
import { open } from './etui/index.js';
import { toLayersModel } from './etui/tfjs/index.js';

window.predict = async (url, { data, shape, dtype }) => {
  const artifact = await open(new URL(url, location.href));
  try {
    const { model, report } = await toLayersModel(tf, artifact);
    const outputs = model.predict(tf.tensor(data, shape, dtype));
    return { data: Array.from(await outputs.data()), shape: outputs.shape, report: report.toJSON() };
  } finally {
    await artifact.close();
  }
};
</script>
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: Any, in_keras: Callable[..., str]) -> tuple[Path, Json]:
    """An etui of a model that Keras trained, and what Keras predicts."""
    folder = tmp_path_factory.mktemp("pictures")
    made = json.loads(in_keras("keras_zoo.py", "tf_keras", str(folder), "pictures"))
    etui.convert(folder / "pictures.keras", folder / "pictures.etui")
    return folder / "pictures.etui", made["pictures"]


@pytest.fixture
def site(javascript: Path, tmp_path: Path, pictures: tuple[Path, Json]) -> Iterator[Web]:
    """A plain web server with the page, the package, TensorFlow.js and the model."""
    npm.bundle(javascript, tmp_path, "index.ts", "tfjs/index.ts", platform="browser")
    with web_server() as web:
        scripts = {f"etui/{path.relative_to(tmp_path)}": path for path in tmp_path.rglob("*.js")}
        scripts["tf.min.js"] = npm.tensorflowjs() / "@tensorflow" / "tfjs" / "dist" / "tf.min.js"
        web.files |= {name: path.read_bytes() for name, path in scripts.items()}
        web.files |= {"index.html": PAGE.encode(), "model.etui": pictures[0].read_bytes()}
        web.behaviours |= dict.fromkeys(
            scripts, lambda handler, data: handler.send(200, data, Content_Type="text/javascript")
        )
        web.behaviours["index.html"] = lambda handler, data: handler.send(200, data, Content_Type="text/html")
        yield web


@pytest.fixture
def page(site: Web, browser: Any) -> Iterator[Any]:
    """The page, which must not complain."""
    complaints: list[str] = []
    found = browser.new_page()
    found.set_default_timeout(60_000)
    found.on("pageerror", lambda fault: complaints.append(str(fault)))
    found.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    found.goto(f"{site.url}/index.html")
    found.wait_for_function("() => window.predict !== undefined")
    yield found
    found.close()
    assert complaints == []


def test_a_page_predicts_what_keras_predicts(page: Any, site: Web, pictures: tuple[Path, Json]) -> None:
    """A model is opened by its URL by range requests, and its predictions in the browser are those of Keras."""
    made = pictures[1]
    found = page.evaluate("([url, input]) => window.predict(url, input)", ["model.etui", made["inputs"][0]])
    expected = np.array(made["outputs"][0]["data"])
    np.testing.assert_allclose(found["data"], expected, atol=BOUND * np.abs(expected).max(), rtol=0)
    assert found["shape"] == made["outputs"][0]["shape"]
    assert found["report"]["ok"]
    asked = [one for one in site.take() if one.path == "/model.etui"]
    assert asked
    assert all(one.range and one.status == 206 for one in asked)
    # Two to open it, and one for each tensor.
    with etui.open(pictures[0]) as model:
        assert model.weights is not None
        assert len(asked) <= 2 + len(model.weights)


def test_a_changed_file_is_refused_in_the_page(page: Any, site: Web, pictures: tuple[Path, Json]) -> None:
    """A flipped bit of a weight is found while the page reads it, and no model comes of it."""
    data = bytearray(site.files["model.etui"])
    with etui.open(pictures[0]) as model:
        kernel = model.weights["classes/kernel"].numpy().tobytes()  # type: ignore[index]
    place = bytes(data).index(kernel)
    data[place] ^= 1
    site.files["model.etui"] = bytes(data)
    code = page.evaluate(
        "([url, input]) => window.predict(url, input).then(() => 'none', (error) => error.code)",
        ["model.etui", pictures[1]["inputs"][0]],
    )
    assert code == "digest-mismatch"
