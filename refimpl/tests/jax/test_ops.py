"""Each op in JAX gives what the reference evaluator gives, in float32 and float64, plain and compiled."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.containers.config import Module
from etui.core import vocabulary
from etui.core.evaluate import evaluate

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.frameworks


class Draw:
    """Numbers for one case, in its dtype."""

    def __init__(self, dtype: str) -> None:
        self.rng = np.random.default_rng(3)
        self.dtype = dtype

    def __call__(self, *shape: int) -> Any:
        return self.rng.normal(size=shape).astype(self.dtype)

    def positive(self, *shape: int) -> Any:
        return (np.abs(self.rng.normal(size=shape)) + 0.5).astype(self.dtype)

    def below(self, end: int, *shape: int) -> Any:
        return self.rng.integers(0, end, shape).astype("int32")

    def flags(self, *shape: int) -> Any:
        return self.rng.random(shape) < 0.6


def _recurrent(units: int, gates: int, draw: Draw, **more: Any) -> dict[str, Any]:
    return {
        "kernel": draw(3, gates * units),
        "recurrent_kernel": draw(units, gates * units),
        "bias": draw(gates * units),
        **more,
    }


def _conv(draw: Draw, rank: int, **attrs: Any) -> dict[str, Any]:
    shape = (7, 6, 5)[:rank]
    size = (3, 2, 2)[:rank]
    last = attrs.get("data_format") != "channels_first"
    x = draw(2, *shape, 4) if last else draw(2, 4, *shape)
    groups = attrs.get("groups", 1)
    return {
        "op": "conv",
        "attrs": {"filters": 6, "kernel_size": list(size), **attrs},
        "inputs": [x],
        "params": {"kernel": draw(*size, 4 // groups, 6), "bias": draw(6)},
    }


def _pool(draw: Draw, op: str, rank: int, **attrs: Any) -> dict[str, Any]:
    shape = (7, 6, 5)[:rank]
    last = attrs.get("data_format") != "channels_first"
    x = draw(2, *shape, 3) if last else draw(2, 3, *shape)
    return {"op": op, "attrs": {"pool_size": [3, 2, 2][:rank], **attrs}, "inputs": [x]}


def _heads(draw: Draw, heads: int, key: int, value: int, wide: tuple[int, ...]) -> dict[str, Any]:
    return {
        "query_kernel": draw(5, heads, key),
        "query_bias": draw(heads, key),
        "key_kernel": draw(4, heads, key),
        "key_bias": draw(heads, key),
        "value_kernel": draw(4, heads, value),
        "value_bias": draw(heads, value),
        "output_kernel": draw(heads, value, *wide),
        "output_bias": draw(*wide),
    }


def _norm(draw: Draw, *names: str, size: tuple[int, ...] = (4,)) -> dict[str, Any]:
    return {name: draw.positive(*size) for name in names}


def _lstm_module(name: str, backwards: bool, **attrs: Any) -> Module:
    params = {role: f"op/{name}/{role}" for role in ("kernel", "recurrent_kernel", "bias")}
    return Module(name, op="core:lstm", attrs={"units": 2, "go_backwards": backwards, **attrs}, params=params)


def _bidirectional(draw: Draw, merge: str, **attrs: Any) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for name in ("forward", "backward"):
        variables |= {f"op/{name}/{role}": value for role, value in _recurrent(2, 4, draw).items()}
    number = (2 if merge == "none" else 1) + (4 if attrs.get("return_state") else 0)
    return {
        "op": "bidirectional",
        "attrs": {"merge": merge},
        "inputs": [draw(2, 5, 3)],
        "modules": [_lstm_module("forward", False, **attrs), _lstm_module("backward", True, **attrs)],
        "variables": variables,
        "outputs": number if number > 1 else None,
        "kwargs": {"mask": draw.flags(2, 5)},
    }


def _activation(name: str, **config: Any) -> Any:
    return ObjectValue(f"core:activations.{name}", config) if config else name


Case = Callable[[Draw], dict[str, Any]]
CASES: dict[str, Case] = {
    "identity": lambda d: {"op": "identity", "attrs": {}, "inputs": [d(2, 3)]},
    "dense": lambda d: {
        "op": "dense",
        "attrs": {"units": 4, "activation": "gelu"},
        "inputs": [d(2, 5, 3)],
        "params": {"kernel": d(3, 4), "bias": d(4)},
    },
    "einsum_dense": lambda d: {
        "op": "einsum_dense",
        "attrs": {"equation": "abc,cde->abde", "output_shape": [None, 2, 4], "bias_axes": "de"},
        "inputs": [d(2, 5, 3)],
        "params": {"kernel": d(3, 2, 4), "bias": d(2, 4)},
    },
    "embedding": lambda d: {
        "op": "embedding",
        "attrs": {"input_dim": 6, "output_dim": 3, "mask_zero": True},
        "inputs": [d.below(6, 2, 5)],
        "params": {"embeddings": d(6, 3)},
    },
    "conv 1 causal": lambda d: _conv(d, 1, padding="causal", dilation=[2]),
    "conv 2 same": lambda d: _conv(d, 2, padding="same", strides=[2, 2]),
    "conv 2 groups": lambda d: _conv(d, 2, groups=2, data_format="channels_first"),
    "conv 2 pairs": lambda d: _conv(d, 2, padding=[[1, 2], [0, 1]], strides=[2, 1]),
    "conv 3": lambda d: _conv(d, 3, padding="same", dilation=[2, 1, 1], activation="relu"),
    "conv_transpose valid": lambda d: {
        "op": "conv_transpose",
        "attrs": {"filters": 3, "kernel_size": [3, 2], "strides": [2, 3]},
        "inputs": [d(2, 4, 5, 2)],
        "params": {"kernel": d(3, 2, 3, 2), "bias": d(3)},
    },
    "conv_transpose same": lambda d: {
        "op": "conv_transpose",
        "attrs": {"filters": 3, "kernel_size": [3, 2], "strides": [2, 3], "padding": "same"},
        "inputs": [d(2, 4, 5, 2)],
        "params": {"kernel": d(3, 2, 3, 2), "bias": d(3)},
    },
    "conv_transpose output_padding": lambda d: {
        "op": "conv_transpose",
        "attrs": {"filters": 3, "kernel_size": [3], "strides": [2], "padding": "same", "output_padding": [1]},
        "inputs": [d(2, 4, 2)],
        "params": {"kernel": d(3, 3, 2), "bias": d(3)},
    },
    "conv_transpose pairs": lambda d: {
        "op": "conv_transpose",
        "attrs": {
            "filters": 3,
            "kernel_size": [3, 3],
            "strides": [2, 2],
            "padding": [[1, 1], [1, 0]],
            "output_padding": [1, 0],
            "data_format": "channels_first",
        },
        "inputs": [d(2, 2, 4, 5)],
        "params": {"kernel": d(3, 3, 3, 2), "bias": d(3)},
    },
    "depthwise_conv": lambda d: {
        "op": "depthwise_conv",
        "attrs": {"kernel_size": [3, 3], "depth_multiplier": 2, "padding": "same", "strides": [2, 2]},
        "inputs": [d(2, 6, 7, 3)],
        "params": {"kernel": d(3, 3, 3, 2), "bias": d(6)},
    },
    "separable_conv": lambda d: {
        "op": "separable_conv",
        "attrs": {"filters": 5, "kernel_size": [3], "depth_multiplier": 2, "dilation": [2]},
        "inputs": [d(2, 8, 3)],
        "params": {"depthwise_kernel": d(3, 3, 2), "pointwise_kernel": d(1, 6, 5), "bias": d(5)},
    },
    "batch_norm": lambda d: {
        "op": "batch_norm",
        "attrs": {"axis": 1},
        "inputs": [d(3, 4, 5)],
        "params": _norm(d, "gamma", "beta", "moving_mean", "moving_variance"),
    },
    "layer_norm": lambda d: {
        "op": "layer_norm",
        "attrs": {"axes": [1, 2]},
        "inputs": [d(3, 4, 5)],
        "params": _norm(d, "gamma", "beta", size=(4, 5)),
    },
    "rms_norm": lambda d: {"op": "rms_norm", "attrs": {}, "inputs": [d(3, 4)], "params": _norm(d, "scale")},
    "group_norm": lambda d: {
        "op": "group_norm",
        "attrs": {"groups": 2},
        "inputs": [d(3, 5, 4)],
        "params": _norm(d, "gamma", "beta"),
    },
    "unit_norm": lambda d: {"op": "unit_norm", "attrs": {"axes": [1, 2]}, "inputs": [d(3, 4, 5)]},
    "normalization": lambda d: {
        "op": "normalization",
        "attrs": {"axes": [-1]},
        "inputs": [d(3, 5, 4)],
        "params": {**_norm(d, "mean", "variance"), "count": np.int64(3)},
    },
    "normalization given": lambda d: {
        "op": "normalization",
        "attrs": {"axes": [-1], "mean": [0.1, 0.2, 0.3, 0.4], "variance": 2.0, "invert": True},
        "inputs": [d(3, 5, 4)],
    },
    "simple_rnn": lambda d: {
        "op": "simple_rnn",
        "attrs": {"units": 2, "return_sequences": True, "go_backwards": True},
        "inputs": [d(2, 5, 3), d(2, 2)],
        "params": _recurrent(2, 1, d),
        "kwargs": {"mask": d.flags(2, 5)},
    },
    "lstm": lambda d: {
        "op": "lstm",
        "attrs": {"units": 2, "return_sequences": True, "return_state": True, "zero_output_for_mask": True},
        "inputs": [d(2, 5, 3), d(2, 2), d(2, 2)],
        "params": _recurrent(2, 4, d),
        "kwargs": {"mask": d.flags(2, 5)},
        "outputs": 3,
    },
    "lstm double": lambda d: {
        "op": "lstm",
        "attrs": {"units": 2, "bias_form": "double", "recurrent_activation": "hard_sigmoid"},
        "inputs": [d(2, 5, 3)],
        "params": _recurrent(2, 4, d, recurrent_bias=d(8)),
    },
    "gru": lambda d: {
        "op": "gru",
        "attrs": {"units": 2, "return_state": True},
        "inputs": [d(2, 5, 3)],
        "params": _recurrent(2, 3, d, bias=d(2, 6)),
        "kwargs": {"mask": d.flags(2, 5)},
        "outputs": 2,
    },
    "gru reset before": lambda d: {
        "op": "gru",
        "attrs": {"units": 2, "reset_after": False, "return_sequences": True},
        "inputs": [d(2, 5, 3)],
        "params": _recurrent(2, 3, d),
    },
    "bidirectional concat": lambda d: _bidirectional(d, "concat", return_sequences=True),
    "bidirectional mean": lambda d: _bidirectional(d, "mean", return_state=True),
    "bidirectional none": lambda d: _bidirectional(d, "none", return_sequences=True, return_state=True),
    "time_distributed": lambda d: {
        "op": "time_distributed",
        "attrs": {},
        "inputs": [d(2, 4, 6, 3)],
        "modules": [
            Module(
                "layer",
                op="core:conv",
                attrs={"filters": 5, "kernel_size": [3]},
                params={"kernel": "op/layer/kernel", "bias": "op/layer/bias"},
            )
        ],
        "variables": {"op/layer/kernel": d(3, 3, 5), "op/layer/bias": d(5)},
    },
    "mha": lambda d: {
        "op": "mha",
        "attrs": {"num_heads": 2, "key_dim": 3, "value_dim": 4},
        "inputs": [d(2, 5, 5), d(2, 6, 4)],
        "params": _heads(d, 2, 3, 4, (5,)),
        "kwargs": {"attention_mask": d.flags(2, 5, 6), "value_mask": d.flags(2, 6)},
    },
    "mha causal": lambda d: {
        "op": "mha",
        "attrs": {"num_heads": 2, "key_dim": 3, "output_dim": [7]},
        "inputs": [d(2, 5, 5), d(2, 5, 4), d(2, 5, 4)],
        "params": _heads(d, 2, 3, 3, (7,)),
        "kwargs": {"use_causal_mask": True, "return_attention_scores": True},
        "outputs": 2,
    },
    "mha axes": lambda d: {
        "op": "mha",
        "attrs": {"num_heads": 2, "key_dim": 3, "attention_axes": [2]},
        "inputs": [d(2, 3, 4, 5), d(2, 3, 6, 4)],
        "params": _heads(d, 2, 3, 3, (5,)),
    },
    "gqa": lambda d: {
        "op": "gqa",
        "attrs": {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 3, "use_gate": True},
        "inputs": [d(2, 5, 5), d(2, 6, 4)],
        "params": {
            **_heads(d, 2, 3, 3, (5,)),
            "query_kernel": d(5, 4, 3),
            "query_bias": d(4, 3),
            "gate_kernel": d(5, 4, 3),
            "gate_bias": d(4, 3),
            "output_kernel": d(4, 3, 5),
        },
        "kwargs": {"attention_mask": d.flags(2, 5, 6)},
    },
    "dot_attention": lambda d: {
        "op": "dot_attention",
        "attrs": {"use_scale": True},
        "inputs": [d(2, 4, 3), d(2, 5, 3)],
        "params": {"scale": d()},
        "kwargs": {"use_causal_mask": True, "mask": [d.flags(2, 4), None]},
    },
    "dot_attention concat": lambda d: {
        "op": "dot_attention",
        "attrs": {"score_mode": "concat"},
        "inputs": [d(2, 4, 3), d(2, 5, 3), d(2, 5, 3)],
        "params": {"concat_score_weight": d()},
        "kwargs": {"return_attention_scores": True},
        "outputs": 2,
    },
    "additive_attention": lambda d: {
        "op": "additive_attention",
        "attrs": {},
        "inputs": [d(2, 4, 3), d(2, 5, 3)],
        "params": {"scale": d(3)},
        "kwargs": {"mask": [d.flags(2, 4), d.flags(2, 5)]},
    },
    "activation": lambda d: {"op": "activation", "attrs": {"function": "softmax"}, "inputs": [d(2, 3, 4)]},
    "relu": lambda d: {
        "op": "relu",
        "attrs": {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2},
        "inputs": [d(4, 6)],
    },
    "leaky_relu": lambda d: {"op": "leaky_relu", "attrs": {}, "inputs": [d(4, 6)]},
    "prelu": lambda d: {
        "op": "prelu",
        "attrs": {"shared_axes": [1]},
        "inputs": [d(2, 3, 4)],
        "params": {"alpha": d(1, 4)},
    },
    "elu": lambda d: {"op": "elu", "attrs": {"alpha": 0.7}, "inputs": [d(4, 6)]},
    "softmax": lambda d: {
        "op": "softmax",
        "attrs": {"axes": [1, 2]},
        "inputs": [d(2, 3, 4)],
        "kwargs": {"mask": d.flags(2, 3, 4)},
    },
    "max_pool same": lambda d: _pool(d, "max_pool", 2, padding="same", strides=[2, 2]),
    "max_pool dilated": lambda d: _pool(d, "max_pool", 1, dilation=[2], strides=[1]),
    "max_pool pairs": lambda d: _pool(d, "max_pool", 2, padding=[[1, 1], [0, 1]], data_format="channels_first"),
    "avg_pool same": lambda d: _pool(d, "avg_pool", 2, padding="same"),
    "avg_pool counted": lambda d: _pool(d, "avg_pool", 2, padding=[[1, 1], [1, 0]], count_padding=True),
    "avg_pool 3": lambda d: _pool(d, "avg_pool", 3, strides=[2, 1, 2], data_format="channels_first"),
    "global_max_pool": lambda d: {
        "op": "global_max_pool",
        "attrs": {"keepdims": True, "data_format": "channels_first"},
        "inputs": [d(2, 3, 4, 5)],
    },
    "global_avg_pool": lambda d: {
        "op": "global_avg_pool",
        "attrs": {},
        "inputs": [d(2, 4, 3)],
        "kwargs": {"mask": np.array([[True, True, False, True], [False, True, True, False]])},
    },
    "adaptive_max_pool": lambda d: {
        "op": "adaptive_max_pool",
        "attrs": {"output_size": [3, 2]},
        "inputs": [d(2, 7, 5, 3)],
    },
    "adaptive_avg_pool": lambda d: {
        "op": "adaptive_avg_pool",
        "attrs": {"output_size": [3], "data_format": "channels_first"},
        "inputs": [d(2, 3, 7)],
    },
    "resize nearest": lambda d: {"op": "resize", "attrs": {"scale": [2, 3]}, "inputs": [d(2, 3, 4, 2)]},
    "resize bilinear": lambda d: {
        "op": "resize",
        "attrs": {"size": [5, 3], "interpolation": "bilinear"},
        "inputs": [d(2, 3, 4, 2)],
    },
    "resize bicubic": lambda d: {
        "op": "resize",
        "attrs": {"size": [3, 2], "interpolation": "bicubic", "antialias": True},
        "inputs": [d(2, 6, 7, 2)],
    },
    "resize lanczos3": lambda d: {
        "op": "resize",
        "attrs": {"size": [9, 8], "interpolation": "lanczos3"},
        "inputs": [d(2, 6, 7, 2)],
    },
    "resize lanczos5": lambda d: {
        "op": "resize",
        "attrs": {"size": [5, 12], "interpolation": "lanczos5", "data_format": "channels_first"},
        "inputs": [d(2, 2, 6, 7)],
    },
    "flatten": lambda d: {"op": "flatten", "attrs": {"data_format": "channels_first"}, "inputs": [d(2, 3, 4, 5)]},
    "reshape": lambda d: {"op": "reshape", "attrs": {"shape": [2, -1]}, "inputs": [d(2, 3, 4)]},
    "permute": lambda d: {"op": "permute", "attrs": {"axes": [0, 2, 1]}, "inputs": [d(2, 3, 4)]},
    "repeat": lambda d: {"op": "repeat", "attrs": {"count": 3}, "inputs": [d(2, 4)]},
    "pad": lambda d: {"op": "pad", "attrs": {"padding": [[1, 2], [0, 1]], "value": 0.5}, "inputs": [d(2, 3, 4)]},
    "pad reflect": lambda d: {"op": "pad", "attrs": {"padding": [[1, 2]], "mode": "reflect"}, "inputs": [d(2, 4)]},
    "crop": lambda d: {"op": "crop", "attrs": {"cropping": [[1, 0], [1, 1]]}, "inputs": [d(2, 3, 4)]},
    "slice": lambda d: {
        "op": "slice",
        "attrs": {"index": ["...", [None, None, -1], "newaxis", 1]},
        "inputs": [d(2, 3, 4)],
    },
    "concat": lambda d: {"op": "concat", "attrs": {"axis": 1}, "inputs": [d(2, 3), d(2, 4)], "listed": True},
    "stack": lambda d: {"op": "stack", "attrs": {"axis": 1}, "inputs": [d(2, 3), d(2, 3)], "listed": True},
    "split": lambda d: {"op": "split", "attrs": {"sections": [1, 3], "axis": 1}, "inputs": [d(2, 4)], "outputs": 2},
    "expand_dims": lambda d: {"op": "expand_dims", "attrs": {"axes": [1, -1]}, "inputs": [d(2, 4)]},
    "squeeze": lambda d: {"op": "squeeze", "attrs": {"axes": [1]}, "inputs": [d(2, 1, 4)]},
    "cast": lambda d: {"op": "cast", "attrs": {"dtype": "int32"}, "inputs": [d(2, 4)]},
    "broadcast_to": lambda d: {"op": "broadcast_to", "attrs": {"shape": [2, 3, 4]}, "inputs": [d(2, 1, 4)]},
    "take": lambda d: {"op": "take", "attrs": {"axis": 1}, "inputs": [d(2, 4), d.below(4, 3)]},
    "add": lambda d: {"op": "add", "attrs": {}, "inputs": [d(2, 3), d(2, 3), d(2, 3)], "listed": True},
    "mul": lambda d: {"op": "mul", "attrs": {}, "inputs": [d(2, 3), d(2, 3)], "listed": True},
    "mean": lambda d: {"op": "mean", "attrs": {}, "inputs": [d(2, 3), d(2, 3)], "listed": True},
    "max": lambda d: {"op": "max", "attrs": {}, "inputs": [d(2, 3), d(2, 3)], "listed": True},
    "min": lambda d: {"op": "min", "attrs": {}, "inputs": [d(2, 3), d(2, 3)], "listed": True},
    "sub": lambda d: {"op": "sub", "attrs": {}, "inputs": [d(2, 3), d(2, 3)]},
    "dot": lambda d: {"op": "dot", "attrs": {"axes": [2, 1], "normalize": True}, "inputs": [d(2, 3, 4), d(2, 4, 5)]},
    "dot vectors": lambda d: {"op": "dot", "attrs": {"axes": [1, 1]}, "inputs": [d(2, 3), d(2, 3)]},
    "matmul": lambda d: {"op": "matmul", "attrs": {}, "inputs": [d(2, 3, 4), d(2, 4, 5)]},
    "einsum": lambda d: {
        "op": "einsum",
        "attrs": {"equation": "abc,acd->abd"},
        "inputs": [d(2, 3, 4), d(2, 4, 5)],
        "listed": True,
    },
    "clip": lambda d: {"op": "clip", "attrs": {"low": -0.5, "high": 0.7}, "inputs": [d(2, 9)]},
    "where": lambda d: {"op": "where", "attrs": {}, "inputs": [d.flags(2, 3), d(2, 3), d(2, 3)]},
    "arg_reduce": lambda d: {"op": "arg_reduce", "attrs": {"function": "argmax", "axis": 1}, "inputs": [d(2, 3, 4)]},
    "dropout": lambda d: {"op": "dropout", "attrs": {"rate": 0.5}, "inputs": [d(2, 3)]},
    "spatial_dropout": lambda d: {"op": "spatial_dropout", "attrs": {"rate": 0.5}, "inputs": [d(2, 3, 4)]},
    "gaussian_noise": lambda d: {"op": "gaussian_noise", "attrs": {"stddev": 0.5}, "inputs": [d(2, 3)]},
    "gaussian_dropout": lambda d: {"op": "gaussian_dropout", "attrs": {"rate": 0.5}, "inputs": [d(2, 3)]},
    "alpha_dropout": lambda d: {"op": "alpha_dropout", "attrs": {"rate": 0.5}, "inputs": [d(2, 3)]},
    "activity_regularization": lambda d: {"op": "activity_regularization", "attrs": {"l1": 0.1}, "inputs": [d(2, 3)]},
    "rescale": lambda d: {"op": "rescale", "attrs": {"scale": [0.5, 2.0, 1.0], "offset": 1.0}, "inputs": [d(2, 3)]},
    "masking": lambda d: {"op": "masking", "attrs": {}, "inputs": [d(2, 4, 3) * d.flags(2, 4, 1)]},
    "lookup": lambda d: {
        "op": "lookup",
        "attrs": {"vocabulary": [7, 3, 5], "mask_token": 0},
        "inputs": [np.array([7, 0, 3, 9, 5, 5], "int32")[d.below(6, 3, 5)]],
    },
    "lookup inverse": lambda d: {
        "op": "lookup",
        "attrs": {"vocabulary": [7, 3, 5], "oov_token": -1, "invert": True},
        "inputs": [d.below(9, 3, 5)],
    },
    "one_hot": lambda d: {
        "op": "one_hot",
        "attrs": {"num_tokens": 4, "output_mode": "one_hot"},
        "inputs": [d.below(4, 3, 1)],
    },
    "one_hot many": lambda d: {"op": "one_hot", "attrs": {"num_tokens": 4}, "inputs": [d.below(4, 3, 5)]},
    "one_hot count": lambda d: {
        "op": "one_hot",
        "attrs": {"num_tokens": 4, "output_mode": "count"},
        "inputs": [d.below(4, 3, 5)],
        "kwargs": {"count_weights": d(3, 5)},
    },
    "discretize": lambda d: {"op": "discretize", "attrs": {"boundaries": [-0.5, 0.0, 1.0]}, "inputs": [d(3, 5)]},
}


def _unary(name: str) -> Case:
    def case(d: Draw) -> dict[str, Any]:
        x = np.tanh(d(2, 3)).astype(d.dtype) if name in ("atanh", "asin", "acos") else d.positive(2, 3)
        return {"op": "unary", "attrs": {"function": name}, "inputs": [x + 1 if name == "acosh" else x]}

    return case


def _binary(name: str) -> Case:
    def case(d: Draw) -> dict[str, Any]:
        make = d.flags if name.startswith("logical") else d.positive
        return {"op": "binary", "attrs": {"function": name}, "inputs": [make(2, 3), make(2, 3)]}

    return case


def _reduce(name: str) -> Case:
    def case(d: Draw) -> dict[str, Any]:
        x = d.flags(2, 3, 4) if name in ("any", "all") else d(2, 3, 4)
        return {"op": "reduce", "attrs": {"function": name, "axes": [1, -1]}, "inputs": [x]}

    return case


for _op, _case in (("unary", _unary), ("binary", _binary), ("reduce", _reduce)):
    CASES |= {f"{_op} {_name}": _case(_name) for _name in vocabulary.ops()[_op].attrs["function"].choices}

# The core graph, its sequences, inputs and parameters have tests of their own in test_functions.py.
_ELSEWHERE = {"graph", "sequential", "input", "parameter"}


@pytest.mark.library
def test_every_op_has_a_case() -> None:
    """No op of the vocabulary is without a case."""
    covered = {case(Draw("float32"))["op"] for case in CASES.values()}
    assert covered | _ELSEWHERE == set(vocabulary.ops())


@pytest.mark.clause("JX-4@52f12d")
@pytest.mark.parametrize("name", CASES)
def test_op_is_that_of_the_evaluator(name: str, tools: SimpleNamespace) -> None:
    """An op gives the evaluator's outputs: under `jax.jit` in float32 to 1e-5, and plain in float64 to 1e-12."""
    from etui.jax import to_function

    for dtype, bound in (("float32", 1e-5), ("float64", 1e-12)):
        given = CASES[name](Draw(dtype))
        model = tools.one_op(**given)
        wanted = evaluate(model, given["inputs"])
        with jax.enable_x64(dtype == "float64"):
            function = to_function(model)
            call = jax.jit(function.apply) if dtype == "float32" else function.apply
            assert tools.difference(call(function.params, *given["inputs"]), wanted) <= bound
