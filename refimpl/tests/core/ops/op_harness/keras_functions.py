"""The operations of Keras that core ops stand for, and the layers that are made when their input is known."""

# mypy: disable-error-code="misc, no-untyped-call"
# (Keras is seen as Any.)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from .keras_layers import by_rank

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Op -> a function of its attributes and of the arguments of its call."""

# Spatial ranks of these follow from the input, so they are made when they are called.


def of_input(kind: str, *names: str) -> Callable[..., Any]:
    """A function that makes and calls a layer for the rank of its input."""

    def run(attrs: dict[str, Any], x: Any, **kwargs: Any) -> Any:
        config = {name: attrs[name] for name in names}
        dtype = keras.backend.standardize_dtype(x.dtype)
        return by_rank(kind, len(x.shape) - 2)(**config, dtype=dtype)(x, **kwargs)

    return run


FUNCTIONS["global_max_pool"] = of_input("GlobalMaxPooling", "data_format", "keepdims")
FUNCTIONS["global_avg_pool"] = of_input("GlobalAveragePooling", "data_format", "keepdims")
FUNCTIONS["adaptive_max_pool"] = of_input("AdaptiveMaxPooling", "output_size", "data_format")
FUNCTIONS["adaptive_avg_pool"] = of_input("AdaptiveAveragePooling", "output_size", "data_format")


def resize(attrs: dict[str, Any], x: Any) -> Any:
    """UpSampling2D for a scale, the operation for a size."""
    if attrs["scale"] is not None:
        dtype = keras.backend.standardize_dtype(x.dtype)
        layer = layers.UpSampling2D(tuple(attrs["scale"]), attrs["data_format"], attrs["interpolation"], dtype=dtype)
        return layer(x)
    return ops.image.resize(
        x, tuple(attrs["size"]), attrs["interpolation"], attrs["antialias"], data_format=attrs["data_format"]
    )


def sliced(attrs: dict[str, Any], x: Any) -> Any:
    """Python's own indexing."""
    words = {"newaxis": None, "...": Ellipsis}
    return x[tuple(slice(*one) if isinstance(one, list) else words.get(one, one) for one in attrs["index"])]


def split(attrs: dict[str, Any], x: Any) -> Any:
    """Keras takes the places of the cuts."""
    sections = attrs["sections"]
    if isinstance(sections, list) and len(sections) == 1:
        return [x]
    return ops.split(
        x, sections if isinstance(sections, int) else np.cumsum(sections)[:-1].tolist(), axis=attrs["axis"]
    )


def padded(attrs: dict[str, Any], x: Any) -> Any:
    """The operation, which takes a value for constants only."""
    value = {"constant_values": attrs["value"]} if attrs["mode"] == "constant" else {}
    return ops.pad(x, [[0, 0], *attrs["padding"]], mode=attrs["mode"], **value)


def clipped(attrs: dict[str, Any], x: Any) -> Any:
    """Keras' clip takes both bounds."""
    low, high = attrs["low"], attrs["high"]
    return ops.clip(x, -np.inf if low is None else low, np.inf if high is None else high)


UNARY = {
    "neg": "negative",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}
BINARY = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "true_divide",
    "floor_div": "floor_divide",
    "pow": "power",
    "max": "maximum",
    "min": "minimum",
    "atan2": "arctan2",
}


def reduced(attrs: dict[str, Any], x: Any) -> Any:
    """The reductions have their names in Keras, too."""
    axes = attrs["axes"]
    return getattr(ops, attrs["function"])(x, axis=None if axes is None else tuple(axes), keepdims=attrs["keepdims"])


FUNCTIONS |= {
    "resize": resize,
    "slice": sliced,
    "split": split,
    "pad": padded,
    "clip": clipped,
    "reduce": reduced,
    "stack": lambda a, xs: ops.stack(xs, axis=a["axis"]),
    "expand_dims": lambda a, x: ops.expand_dims(x, tuple(a["axes"])),
    "squeeze": lambda a, x: ops.squeeze(x, None if a["axes"] is None else tuple(a["axes"])),
    "cast": lambda a, x: ops.cast(x, a["dtype"]),
    "broadcast_to": lambda a, x: ops.broadcast_to(x, tuple(a["shape"])),
    "take": lambda a, x, indices: ops.take(x, indices, axis=a["axis"]),
    "matmul": lambda _, x, y: ops.matmul(x, y),
    "einsum": lambda a, xs: ops.einsum(a["equation"], *xs),
    "unary": lambda a, x: getattr(ops, UNARY.get(a["function"], a["function"]))(x),
    "binary": lambda a, x, y: getattr(ops, BINARY.get(a["function"], a["function"]))(x, y),
    "where": lambda _, condition, x, y: ops.where(condition, x, y),
    "arg_reduce": lambda a, x: getattr(ops, a["function"])(x, axis=a["axis"], keepdims=a["keepdims"]),
}


# --- preprocessing ----------------------------------------------------------------------------------------------------


def lookup(attrs: dict[str, Any], x: Any) -> Any:
    """StringLookup and IntegerLookup."""
    words = isinstance(attrs["vocabulary"][0], str)
    kind = layers.StringLookup if words else layers.IntegerLookup
    config = {name: attrs[name] for name in ("num_oov_indices", "mask_token", "oov_token", "invert")}
    if attrs["num_oov_indices"] == 0 and not attrs["invert"]:
        del config["oov_token"]
    return kind(vocabulary=attrs["vocabulary"], **config)(x)


def one_hot(attrs: dict[str, Any], x: Any, count_weights: Any = None) -> Any:
    """CategoryEncoding, which counts weights in its own dtype."""
    if count_weights is None:
        return layers.CategoryEncoding(attrs["num_tokens"], attrs["output_mode"])(x)
    dtype = keras.backend.standardize_dtype(count_weights.dtype)
    return layers.CategoryEncoding(attrs["num_tokens"], attrs["output_mode"], dtype=dtype)(
        x, count_weights=count_weights
    )


FUNCTIONS["lookup"] = lookup
FUNCTIONS["one_hot"] = one_hot
FUNCTIONS["discretize"] = lambda a, x: layers.Discretization(a["boundaries"])(x)
