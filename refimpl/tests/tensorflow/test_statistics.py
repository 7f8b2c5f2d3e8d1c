"""Statistics of Normalization layers in SavedModel folders without graphs."""

from __future__ import annotations

import numpy as np
import pytest

from etui.bridges.tensorflow.saved_model.statistics import with_given_statistics
from etui.containers.config import Config, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report


def normalization(op: str = "keras:Normalization") -> Model:
    """A model whose layer `scale` has learned a mean and a variance from five samples."""
    weights = Weights()
    arrays = {
        "mean": np.array([0.1, 2.5], "float32"),
        "variance": np.array([1.0, 4.0], "float32"),
        "count": np.array(5),
    }
    for role, array in arrays.items():
        weights.add(f"scale/{role}", Tensor.of(array), role=role, trainable=False)
    weights.add("d/kernel", Tensor.of(np.ones((2, 1), "float32")), role="kernel")
    layers = [
        Module("scale", "layer", op, {"axis": [-1], "mean": None}, {role: f"scale/{role}" for role in arrays}),
        Module("d", "layer", "keras:Dense", {"units": 1}, {"kernel": "d/kernel"}),
    ]
    return Model(config=Config(Module("net", "layer", "keras:Sequential", modules=layers)), weights=weights)


@pytest.mark.clause("KS-33@d19dbb")
def test_learned_statistics_become_attributes() -> None:
    """Mean and variance are attributes with the same bits, the variables are gone, and each has its entry."""
    report = Report()
    source = normalization()
    model = with_given_statistics(source, report)
    assert model.config is not None
    assert model.weights is not None
    layer = model.config.find("scale")
    assert np.array_equal(np.array(layer.attrs["mean"], "float32"), np.array([0.1, 2.5], "float32"))
    assert layer.attrs["variance"] == [1.0, 4.0]
    assert layer.params == {}
    assert list(model.weights.variables) == ["d/kernel"]
    statuses = {entry.subject: entry.status for entry in report.entries}
    assert statuses == {"scale/mean": "translated", "scale/variance": "translated", "scale/count": "left-out"}
    assert source.weights is not None
    assert len(source.weights.variables) == 4


@pytest.mark.clause("KS-33@d19dbb")
def test_other_layers_keep_their_variables() -> None:
    """A layer of another class with such variables, and a model without any, are as they were."""
    report = Report()
    for source in (normalization("custom:Normalization"), Model()):
        assert with_given_statistics(source, report) is source
    assert report.entries == []
