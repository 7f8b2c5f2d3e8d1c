"""Torch modules of core ops compute what the ops are defined to."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.core.evaluate import evaluate
from etui.errors import TransferError, UsageError

torch = pytest.importorskip("torch")

from etui.bridges.torch.binding import source_of
from etui.bridges.torch.build import to_module

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("module_kit")

pytestmark = pytest.mark.frameworks
RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def without_onednn() -> None:
    """On some processors oneDNN's convolutions crash."""
    torch.backends.mkldnn.enabled = False


def given(*shape: int) -> Any:
    """Random numbers in float64."""
    return np.random.default_rng(len(shape)).normal(size=shape)


def compare(model: Any, *arrays: Any, training: bool = False) -> Any:
    """Compute by the definition and by torch in float64; the module."""
    module = to_module(model, dtype=torch.float64).train(training)
    found = module(*[torch.from_numpy(array) for array in arrays])
    expected = evaluate(model, list(arrays), training=training)
    updates: dict[str, Any] = {}
    if training:
        expected, updates = expected
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-13)
    learned: Any = source_of(module).weights
    for path, value in updates.items():
        np.testing.assert_allclose(learned[path].numpy(), value, rtol=1e-12, atol=1e-13)
    assert not training or updates
    return module


@pytest.mark.clause("PT-1@65a29a", "PT-8@c13163")
def test_whole_models_compute_what_the_graph_does() -> None:
    """An image model with the channels last, and masked words through attention and recurrent layers."""
    compare(kit.image_model(), given(3, 8, 8, 2))
    words = np.array([[1, 5, 0, 2, 0], [3, 0, 0, 0, 0], [4, 4, 8, 1, 2]], np.int32)
    compare(kit.text_model(), words)


@pytest.mark.clause("PT-7@2c280c")
@pytest.mark.parametrize("variance", ["biased", "unbiased"])
@pytest.mark.parametrize("axis", [-1, 1])
def test_moving_statistics(variance: str, axis: int) -> None:
    """The statistics that training leaves are those of the definition, also of a batch of one element."""
    b = kit.Builder()
    x = b.input("x")
    y = b.add("norm", "batch_norm", x, params=kit.norm(4), momentum=0.7, axis=axis, moving_variance=variance)
    compare(b.model(y), given(3, 4, 4), training=True)
    one = to_module(b.model(y), dtype=torch.float64).train()
    assert torch.isfinite(one(torch.ones(1, 4, dtype=torch.float64))).all()
    assert torch.isfinite(one.norm.running_var).all()


@pytest.mark.clause("PT-7@2c280c")
def test_frozen_normalization_and_steps_that_are_masked() -> None:
    """A frozen normalization does not learn; what a mask excludes does not count in the statistics of a batch."""
    b = kit.Builder()
    x = b.add("masking", "masking", b.input("x"))
    y = b.add("norm", "batch_norm", x, params=kit.norm(3), momentum=0.5)
    array = given(4, 5, 3)
    array[:, 3:] = 0
    module = to_module(b.model(y), dtype=torch.float64).train()
    module(torch.from_numpy(array))
    mean = array[:, :3].reshape(-1, 3).mean(axis=0)
    old = b.weights["norm/moving_mean"].numpy()
    np.testing.assert_allclose(module.norm.running_mean.numpy(), 0.5 * old + 0.5 * mean, rtol=1e-7)
    b.modules[-1].attrs["trainable"] = False
    frozen = to_module(b.model(y)).train()
    before = frozen.norm.running_mean.clone()
    frozen(torch.from_numpy(array))
    assert torch.equal(frozen.norm.running_mean, before)


RECURRENT: list[tuple[str, int, tuple[int, ...], dict[str, Any]]] = [
    ("simple_rnn", 1, (), {}),
    ("simple_rnn", 1, (), {"activation": "relu"}),
    ("simple_rnn", 1, (), {"activation": "elu"}),
    ("lstm", 4, (), {}),
    ("lstm", 4, (), {"recurrent_activation": "hard_sigmoid"}),
    ("gru", 3, (2,), {}),
    ("gru", 3, (), {"reset_after": False}),
]


@pytest.mark.clause("PT-1@65a29a")
@pytest.mark.parametrize(("op", "gates", "bias", "attrs"), RECURRENT)
def test_recurrent_ops_with_and_without_masks(
    op: str, gates: int, bias: tuple[int, ...], attrs: dict[str, Any]
) -> None:
    """Torch's own loop and the walk step by step agree with the definition, in both directions."""
    for masked in (False, True):
        for backwards in (False, True):
            b = kit.Builder()
            x = b.input("x")
            x = b.add("masking", "masking", x) if masked else x
            options = {**attrs, "units": 4, "return_sequences": True, "go_backwards": backwards}
            y = b.add("rnn", op, x, params=kit.recurrent(gates, 3, 4, bias), **options)
            array = given(2, 5, 3)
            array[0, 3:] = 0
            array[1, 1] = 0
            compare(b.model(y), array)


@pytest.mark.library
def test_dropout_of_recurrent_ops_is_the_same_in_all_steps() -> None:
    """In training, the elements of the input that are dropped are dropped at every step of a call."""
    b = kit.Builder()
    kernel = np.concatenate([np.ones((1, 1)), np.zeros((1, 1))])
    params = {"kernel": kernel, "recurrent_kernel": np.zeros((1, 1)), "bias": np.zeros(1)}
    x = b.input("x")
    y = b.add("rnn", "simple_rnn", x, params=params, units=1, dropout=0.5, activation="linear", return_sequences=True)
    module = to_module(b.model(y), dtype=torch.float32).train()
    torch.manual_seed(0)
    found = module(torch.ones(64, 3, 2)).squeeze(-1).detach()
    assert {float(value) for value in found.reshape(-1)} == {0.0, 2.0}
    assert torch.equal(found, found[:, :1].expand(64, 3))
    assert torch.equal(module.eval()(torch.ones(2, 3, 2)).reshape(-1), torch.ones(6))


@pytest.mark.library
def test_gates_have_their_own_dropout_with_recurrent_dropout() -> None:
    """Every recurrent op trains with both kinds of dropout, and is deterministic when it does not train."""
    checked = 0
    for op, gates, bias, attrs in RECURRENT:
        b = kit.Builder()
        options = {**attrs, "units": 4, "dropout": 0.3, "recurrent_dropout": 0.4}
        y = b.add("rnn", op, b.input("x"), params=kit.recurrent(gates, 3, 4, bias), **options)
        module = compare(b.model(y), given(2, 5, 3)).train()
        x = torch.from_numpy(given(2, 5, 3))
        assert not torch.equal(module(x), module(x))
        module(x).sum().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())
        checked += 1
    assert checked == len(RECURRENT)


@pytest.mark.library
def test_stateful_ops_go_on_where_they_ended() -> None:
    """Two calls of a stateful module are one of the whole sequence, until its states are reset."""
    b = kit.Builder()
    y = b.add("rnn", "gru", b.input("x"), params=kit.recurrent(3, 3, 4, (2,)), units=4, stateful=True)
    module = to_module(b.model(y), dtype=torch.float64)
    x = torch.from_numpy(given(2, 6, 3))
    whole = module(x)
    module.rnn.reset_states()
    module(x[:, :2])
    torch.testing.assert_close(module(x[:, 2:]), whole, rtol=1e-12, atol=1e-12)


RANDOM: list[tuple[str, dict[str, Any]]] = [
    ("dropout", {"rate": 0.4}),
    ("dropout", {"rate": 0.4, "noise_shape": [None, 1, None]}),
    ("spatial_dropout", {"rate": 0.4}),
    ("alpha_dropout", {"rate": 0.4}),
    ("gaussian_noise", {"stddev": 0.5}),
    ("gaussian_dropout", {"rate": 0.4}),
]


@pytest.mark.clause("PT-6@333e3c")
@pytest.mark.parametrize(("op", "attrs"), RANDOM)
def test_random_ops_draw_only_in_training(op: str, attrs: dict[str, Any]) -> None:
    """They are the identity unless they train; what is drawn keeps the mean, and shared elements share their fate."""
    b = kit.Builder()
    module = to_module(b.model(b.add("op", op, b.input("x"), **attrs)))
    x = torch.ones(64, 40, 30) if op != "alpha_dropout" else torch.randn(64, 40, 30)
    assert torch.equal(module(x), x)
    torch.manual_seed(1)
    found = module(x, training=True)
    assert not torch.equal(found, x)
    assert abs(float(found.mean() - x.mean())) < 0.05
    if op == "spatial_dropout" or "noise_shape" in attrs:
        assert torch.equal(found, found[:, :1].expand(64, 40, 30))
    assert torch.equal(module(x), x)
    assert not torch.equal(module.train()(x), x)
    assert torch.equal(module(x, training=False), x)


@pytest.mark.library
def test_look_ups_of_integers() -> None:
    """Terms become indices and come back; a term that is not there is the unknown one, or is refused."""
    attrs: dict[str, Any] = {"vocabulary": [7, 3, 9], "oov_token": -1, "mask_token": 0}
    b = kit.Builder()
    module = to_module(b.model(b.add("op", "lookup", b.input("x", dtype="int64"), **attrs)))
    assert module(torch.tensor([[7, 9, 0, 5]])).tolist() == [[2, 4, 0, 1]]
    b = kit.Builder()
    module = to_module(b.model(b.add("op", "lookup", b.input("x", dtype="int64"), **attrs, invert=True)))
    assert module(torch.tensor([2, 4, 0, 1, 17])).tolist() == [7, 9, 0, -1, -1]
    b = kit.Builder()
    y = b.add("op", "lookup", b.input("x", dtype="int64"), vocabulary=[7, 3], num_oov_indices=0)
    module = to_module(b.model(y))
    assert module(torch.tensor([3, 7])).tolist() == [1, 0]
    with pytest.raises(UsageError) as caught:
        module(torch.tensor([3, 8]))
    assert caught.value.code == "torch-call"


@pytest.mark.library
def test_values_that_torch_cannot_honour_are_refused() -> None:
    """An attribute without a meaning in torch is named with its module and op."""
    kernel = {"kernel": (2, 2, 2), "bias": (2,)}
    refusals: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("resize", {}, {}),
        ("dot", {"axes": [0, 1]}, {}),
        ("conv", {"kernel_size": [1] * 4, "filters": 2}, {"kernel": (1, 1, 1, 1, 2, 2), "bias": (2,)}),
        ("conv_transpose", {"kernel_size": [2], "filters": 2, "padding": "causal"}, kernel),
    ]
    refused = 0
    for op, attrs, params in refusals:
        b = kit.Builder()
        x = b.input("x")
        y = b.add("wrong", op, *([x, x] if op == "dot" else [x]), params=params, **attrs)
        with pytest.raises(TransferError) as caught:
            to_module(b.model(y))
        assert caught.value.code == "torch-value"
        assert f"core:{op}" in caught.value.found
        refused += 1
    assert refused == len(refusals)
