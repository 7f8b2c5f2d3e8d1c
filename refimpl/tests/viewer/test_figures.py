"""What the viewer computes by itself is what the library computes: statistics, differences, and shapes of Keras."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.tensors import Tensor
from etui.testing import npm
from etui.viewing.statistics import statistics

Json = Any
HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "js"
pytestmark = [pytest.mark.library, pytest.mark.node]


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Json]:
    """Runs the viewer's own code in Node on artifacts."""
    script = tmp_path_factory.mktemp("figures") / "figures.mjs"
    esbuild = npm.package(PACKAGE) / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--format=esm", "--platform=node", "--log-level=error", f"--outfile={script}"]
    subprocess.run([str(esbuild), str(HERE / "figures.ts"), *options], cwd=PACKAGE, check=True, timeout=120)

    def run(*paths: Path) -> Json:
        done = subprocess.run(
            ["node", str(script), *map(str, paths)], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout, parse_int=float)  # of 2**63 JavaScript writes as many digits as tell it apart

    return run


def close(expected: Json, found: Json) -> bool:
    """Whether two numbers are the same but for the order in which elements were added."""
    if expected is None or found is None:
        return bool(expected is found)
    return math.isclose(expected, found, rel_tol=1e-12, abs_tol=1e-300)


def compare_statistics(tensor: Tensor, found: Json) -> None:
    """Counts, extremes and bins are equal, mean and spread within the rounding of a sum."""
    expected = statistics(tensor).as_json()
    for key in ("count", "nan", "inf", "zeros", "min", "max", "histogram"):
        assert found[key] == expected[key]
    # The mean of numbers that cancel is compared with their size.
    size = max(abs(expected["min"] or 0), abs(expected["max"] or 0))
    for key in ("mean", "std"):
        if expected[key] is None or found[key] is None:
            assert found[key] is expected[key]
        else:
            assert abs(found[key] - expected[key]) <= 1e-12 * size


def test_statistics_are_those_of_the_library(figures: Callable[..., Json], models: dict[str, Path]) -> None:
    """Of every dtype, encoding and oddity the page computes the numbers that etui view computes."""
    found = figures(models["everything"])["statistics"]
    with etui.open(models["everything"]) as model:
        assert model.weights is not None
        tensors = {f"weight {path}": variable.tensor for path, variable in model.weights.items()}
        assert len(tensors) == 13
        for name, tensor in tensors.items():
            compare_statistics(tensor, found[name])
    assert len(found) == 19


AWKWARD = {
    "cancelling": np.array([1e16, 1.0, -1e16, 3.0] * 50),
    "equal": np.full(7, 0.1, np.float32),
    "nearly_equal": np.array([1.0, np.nextafter(1.0, 2.0)]),
    "one": np.array([-0.0]),
    "opposite": np.array([-1.7e308, 1.7e308, 0.0]),
    "random": np.random.default_rng(3).standard_normal(300_000).astype(np.float32),
    "signed_zeros": np.array([0.0, -0.0, 1.0], np.float32),
    "tiny": np.array([5e-324, 1e-310, 0.0]),
    "unfinite": np.array([np.nan, np.inf, -np.inf], np.float32),
    "wide": np.array([2**63 + 1, 2**64 - 1, 5], np.uint64),
}


def test_awkward_numbers_have_the_same_statistics(figures: Callable[..., Json], tmp_path: Path) -> None:
    """Numbers that cancel, overflow, underflow or are not finite fall into the same bins on both sides."""
    weights = etui.Weights()
    for name, values in AWKWARD.items():
        weights.add(name, Tensor.of(values), role="values")
    etui.save(etui.Model(weights=weights), tmp_path / "awkward.etui")
    found = figures(tmp_path / "awkward.etui")["statistics"]
    assert len(found) == len(AWKWARD)
    for name, values in AWKWARD.items():
        compare_statistics(Tensor.of(values), found[f"weight {name}"])


def test_differences_are_those_of_the_library(figures: Callable[..., Json], tmp_path: Path) -> None:
    """Changed elements, distances and angle are those that etui view puts into its pages, of NaN and zeros too."""
    generator = np.random.default_rng(9)
    base = generator.standard_normal((40, 30)).astype(np.float32)
    nan = np.array([0x7FC00000, 0x7FC00001, 0x7FC00000], np.uint32).view(np.float32)
    other_nan = np.array([0x7FC00000, 0x7FC00000, 0x7FC00000], np.uint32).view(np.float32)
    pairs = {
        "bits": (nan, other_nan),
        "casts": (base, base.astype(np.float64) + (base > 1)),
        "complex": (base + 1j * base[::-1], base + 1j * base),
        "huge": (np.array([1e308, -1e308]), np.array([-1e308, 1e308])),
        "integers": (np.arange(9), np.arange(9)[::-1].copy()),
        "noise": (base, base + 1e-3 * generator.standard_normal(base.shape).astype(np.float32)),
        "one": (base, np.where(np.arange(30) == 3, base + 1, base).astype(np.float32)),
        "signs": (np.array([0.0, 1.0]), np.array([-0.0, 1.0])),
        "texts": (np.array(["a", "b", "c"], object), np.array(["a", "B", ""], object)),
        "unfinite": (np.array([1.0, 2.0]), np.array([np.inf, 2.0])),
        "zero": (np.zeros(5), np.ones(5)),
    }
    paths = []
    for side in (0, 1):
        weights = etui.Weights()
        for name, both in pairs.items():
            weights.add(name, Tensor.of(both[side]), role="values")
        paths.append(tmp_path / f"{side}.etui")
        etui.save(etui.Model(weights=weights), paths[-1])
    found = figures(paths[1], paths[0])["differences"]
    page = etui.view(*paths, html=tmp_path / "page.html", browser=False)
    expected = page.payload["differences"]["weights"]
    # Texts have no numbers to compare: the page of etui view leaves them out, and the viewer counts those that differ.
    texts = found.pop("weight texts")
    assert (texts["changed"], texts["max_abs"]) == (2, None)
    assert {f"weight {name}" for name in expected} == {name for name, one in found.items() if one["state"] == "known"}
    assert len(expected) == len(pairs) - 1
    for name, figure in expected.items():
        one = found[f"weight {name}"]
        assert one["changed"] == figure["changed"], name
        for key in ("max_abs", "mean_abs", "rel", "cosine"):
            assert close(figure[key], one[key]), (name, key, figure[key], one[key])


@pytest.mark.frameworks
def test_shapes_are_those_of_keras(figures: Callable[..., Json], tmp_path: Path) -> None:
    """What the viewer says of the shape of a layer's output is what Keras says, wherever it says something."""
    keras: Any = pytest.importorskip("keras")
    layers = keras.layers
    image, text = keras.Input((32, 30, 3)), keras.Input((12,), dtype="int32")
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.ZeroPadding2D(((1, 2), (0, 1)))(x)
    x = layers.SeparableConv2D(6, 3, dilation_rate=2)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2)(x)
    y = layers.Conv2DTranspose(12, 2)(x)
    x = layers.BatchNormalization()(layers.ReLU()(x))
    x = layers.MaxPooling2D(2)(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Cropping2D(1)(x)
    z = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate()([x, z])
    x = layers.Add()([x, layers.Dropout(0.1)(x)])
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    e = layers.Embedding(50, 16)(text)
    e = layers.Bidirectional(layers.LSTM(7, return_sequences=True))(e)
    e = layers.MultiHeadAttention(2, 4)(e, e)
    e = layers.TimeDistributed(layers.Dense(6))(e)
    e = layers.Permute((2, 1))(e)
    e = layers.Reshape((3, -1))(e)
    e = layers.GRU(9)(e)
    e = layers.RepeatVector(4)(e)
    e = layers.Flatten()(e)
    model = keras.Model([image, text], [x, e, y])
    etui.save(model, tmp_path / "shapes.etui")
    found = figures(tmp_path / "shapes.etui")["shapes"]
    known = 0
    for layer in model.layers:
        shape = found[layer.name][0]
        if shape is not None:
            known += 1
            assert tuple(shape) == tuple(layer.output.shape), layer.name
    assert known >= len(model.layers) - 2  # a transposed convolution has no simple rule


def test_the_page_is_built_from_its_sources() -> None:
    """A new build gives the committed page, byte for byte."""
    done = subprocess.run(
        ["node", "viewer/build.mjs", "--check"],
        cwd=npm.package(PACKAGE),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
