"""The in-memory containers: how they are looked at, and what they refuse at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import etui
from etui.containers.config import Config, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Blob, Model
from etui.testing.hostile import parts_of, refused_with


@pytest.mark.clause("W-14@118588", "W-15@6a19ba")
def test_weights_are_a_mapping_that_follows_aliases() -> None:
    """Indexing resolves aliases; length and iteration count variables, in the model's order."""
    weights = Weights()
    weights.add("b", Tensor.of(np.zeros(2, np.int8)), role="kernel")
    weights.add("a", Tensor.of(np.ones((), np.float16)), role="bias", trainable=False)
    weights.aliases["tied"] = "b"
    assert list(weights) == ["b", "a"]
    assert len(weights) == 2
    assert "tied" in weights
    assert "other" not in weights
    assert weights["tied"] is weights["b"]
    assert weights.resolve("tied") == weights.resolve("b") == "b"
    assert (weights["a"].dtype, weights["a"].shape, weights["a"].trainable) == ("float16", (), False)
    with pytest.raises(KeyError):
        weights["other"]


@pytest.mark.clause("D-1@2c2de7", "D-2@f37157")
def test_a_path_is_taken_once() -> None:
    """A variable under a path or alias that is there, or under what is no path, is refused."""
    weights = Weights()
    weights.add("a", Tensor.of(0.0), role="kernel")
    weights.aliases["b"] = "a"
    calls: dict[str, Callable[[], object]] = {
        "a": lambda: weights.add("a", Tensor.of(0.0), role="kernel"),
        "b": lambda: weights.add("b", Tensor.of(0.0), role="kernel"),
        "c#": lambda: weights.add("c#", Tensor.of(0.0), role="kernel"),
    }
    assert [refused_with(call) for call in calls.values()] == ["path-collision", "path-collision", "path-form"]
    assert list(weights) == ["a"]


@pytest.mark.clause("C-2@1c195b", "C-15@33b2a1")
def test_modules_are_walked_and_found_by_their_paths() -> None:
    """The walk gives each module before its children, in list order; the root has the empty path."""
    leaves = [Module("x", op="a:b"), Module("y", op="a:b")]
    root = Module("root", op="a:b", modules=[Module("one", op="a:b", modules=leaves), Module("two", op="a:b")])
    config = Config(root)
    assert [path for path, _ in config.walk()] == ["", "one", "one/x", "one/y", "two"]
    assert config.find("") is root
    assert config.find("one/y") is leaves[1]
    for path in ("one/z", "x", "two/x"):
        with pytest.raises(KeyError):
            config.find(path)


@pytest.mark.clause("O-7@a041bd", "O-13@c49fe4")
def test_optimizers_are_walked_with_those_that_they_wrap() -> None:
    """Each optimizer has its place, a wrapped one below the other's, and lists its variables in its own order."""
    inner = Optimizer("a:SGD", groups=[Group(["b"]), Group(["a", "c"])])
    state = OptimizerState({"first": Optimizer("a:Scaled", inner=inner), "second": Optimizer("a:SGD")})
    assert [place for place, _ in state.walk()] == ["first", "first/inner", "second"]
    assert inner.variables() == ["b", "a", "c"]


@pytest.mark.library
def test_a_blob_gives_its_bytes() -> None:
    """A blob of bytes has their size and gives copies and read-only views of them."""
    blob = Blob.of(b"abc", "text/plain")
    assert (blob.size, blob.media_type, blob.read(), bytes(blob.view())) == (3, "text/plain", b"abc", b"abc")
    assert blob.view().readonly


@pytest.mark.library
def test_a_model_without_files_is_closed_like_one_with() -> None:
    """Closing a model twice, or one that was never opened, does nothing."""
    with etui.open(parts_of(Model(weights=Weights()))) as opened:
        opened.close()
        opened.close()
    Model().close()


@pytest.mark.clause("H-8@5fca10", "D-5@94980c")
def test_the_fingerprint_of_a_document_is_that_of_its_content() -> None:
    """Fingerprints do not depend on shards, do on values, and are none for documents that are not there."""
    weights = Weights()
    weights.add("a", Tensor.of(np.arange(4.0)), role="kernel")
    model = Model(weights=weights)
    with etui.open(parts_of(model, shard_size=1)) as opened:
        assert opened.fingerprint("weights.json") == model.fingerprint("weights.json")
    before = model.fingerprint("weights.json")
    weights.variables["a"].tensor = Tensor.of(np.arange(4.0) + 1)
    assert model.fingerprint("weights.json") != before
    assert model.fingerprint("config.json") is None
    assert model.fingerprint("nothing.json") is None
