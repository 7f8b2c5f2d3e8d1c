"""The architectures of `keras.applications` that cross over between frameworks, at random weights and a small size.

`crossing.py` and tests draw from this list. Importing it imports no framework; `KERAS_BACKEND` has to be set before
`build` is called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIZES: dict[str, int] = {
    "VGG16": 32,
    "VGG19": 32,
    "ResNet50": 64,
    "ResNet101": 64,
    "ResNet152": 64,
    "ResNet50V2": 64,
    "ResNet101V2": 64,
    "ResNet152V2": 64,
    "InceptionV3": 80,
    "InceptionResNetV2": 80,
    "Xception": 72,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "MobileNetV3Large": 64,
    "DenseNet121": 64,
    "DenseNet169": 64,
    "DenseNet201": 64,
    "NASNetMobile": 64,
    "EfficientNetB0": 64,
    "EfficientNetB1": 64,
    "EfficientNetB2": 64,
    "EfficientNetB3": 64,
    "EfficientNetV2B0": 64,
    "EfficientNetV2B1": 64,
    "EfficientNetV2B2": 64,
    "EfficientNetV2S": 64,
    "ConvNeXtTiny": 64,
    "ConvNeXtSmall": 64,
}
"""Name in `keras.applications` -> pixels on each side of the input."""

SMALL = ("MobileNet", "MobileNetV3Small")
"""Two that are small enough for a test, and differ in what they are made of."""

# The factor of a LayerScale has no name, so that Keras counts `variable`, `variable_1`, and begins at 1e-6, where the
# branch that it scales would not show.
NEAR_ONE = frozenset({"gamma", "moving_variance", "variance", "variable"})
NEAR_ZERO = frozenset({"beta", "bias", "moving_mean", "mean"})


def build(name: str, seed: int = 0) -> Any:
    """A Keras model with random weights, whose predictions depend on its input as those of a trained one do.

    With fresh moving statistics the signal would fade from layer to layer until the biases alone decide, and a mistake
    on the way would not show. With those of a batch, differences between images would grow from layer to layer, and so
    would those of rounding. So the variances are about the mean square of what is normalized, and weights of a model
    that normalizes nothing have the scale of He instead of Glorot's.

    Args:
        name: a key of `SIZES`.
        seed: of the weights.
    """
    import keras  # the backend is chosen by whoever calls

    keras.utils.set_random_seed(seed)
    model = bare(name)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        kind = variable.name.rstrip("0123456789").removesuffix("_")
        if kind in NEAR_ONE | NEAR_ZERO:
            # All zeros or all ones would hide a role that is mixed up with another.
            low, high = (0.8, 1.2) if kind in NEAR_ONE else (-0.1, 0.1)
            variable.assign(rng.uniform(low, high, variable.shape))
    norms = []
    for layer in model._flatten_layers():  # noqa: SLF001  those of nested models, too
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        elif isinstance(layer, keras.layers.BatchNormalization):
            norms.append((layer, layer.call))
            layer.call = _scaling(layer, layer.call)
    if not norms:
        for variable in model.variables:
            if variable.name == "kernel":
                variable.assign(variable * np.sqrt(2.0))
    model(images(name, seed=seed + 1), training=False)
    for layer, call in norms:
        layer.call = call
    return model


def bare(name: str) -> Any:
    """A Keras model as `keras.applications` makes it, with 10 classes and without the softmax at its end."""
    import keras

    size = SIZES[name]
    # The architecture is what crosses over, and the head of 1000 classes would only take time.
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    # The probabilities of random weights hardly differ between classes: the logits do.
    model.layers[-1].activation = keras.activations.linear
    return model


def exact(name: str, model: Any) -> Any:
    """The same model with the same weights, computing in float64.

    On TensorFlow, Keras rounds constants that are floats of Python to float32 on the way: they are replaced.
    """
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        wide = bare(name)
    finally:
        keras.config.set_dtype_policy(policy)
    wide.set_weights(model.get_weights())
    for layer in wide._flatten_layers():  # noqa: SLF001  those of nested models, too
        if isinstance(layer, keras.layers.Rescaling):
            layer.scale, layer.offset = np.float64(layer.scale), np.float64(layer.offset)
        elif isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None:
            shape = layer.mean.shape
            layer.mean = keras.ops.convert_to_tensor(np.float64(layer.input_mean).reshape(shape))
            layer.variance = keras.ops.convert_to_tensor(np.float64(layer.input_variance).reshape(shape))
        elif isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        elif isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu:
            layer.activation = lambda x: x * 0.5 * (1 + keras.ops.erf(x / np.sqrt(np.float64(2))))
    return wide


def _scaling(layer: Any, call: Any) -> Any:
    """The call of a normalization that first makes its variances about the mean square of its input."""

    def scaled(x: Any, *args: Any, **kwargs: Any) -> Any:
        array = np.asarray(x)
        square = np.square(array).mean()
        layer.moving_variance.assign(np.asarray(layer.moving_variance) * square)
        layer.moving_mean.assign(np.asarray(layer.moving_mean) * np.sqrt(square))
        return call(x, *args, **kwargs)

    return scaled


def images(name: str, batch: int = 2, seed: int = 2) -> npt.NDArray[np.float32]:
    """Random images for an architecture, in the range of bytes: shape `[batch, size, size, 3]`."""
    size = SIZES[name]
    return np.random.default_rng(seed).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)
