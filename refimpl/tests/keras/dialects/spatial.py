"""Models of images, volumes and rows: convolutions, pooling, normalization, resizing."""

from __future__ import annotations

from typing import Any

from models import ADAM, IMAGE, NEW, OLD, SEQUENCE, VECTOR, VOLUME, case, chain, numbers

assert NEW


@case(IMAGE, losses=1e-5, optimizer=ADAM)
def convolutions(k: Any) -> Any:
    la = k.layers
    layers = [la.Conv2D(4, 3, padding="same", activation="relu"), la.MaxPooling2D(2)]
    layers += [la.DepthwiseConv2D(2, depth_multiplier=2), la.SeparableConv2D(5, 2, activation="tanh")]
    return chain(k, (8, 8, 3), *layers, la.GlobalAveragePooling2D(), la.Dense(2))


@case(IMAGE, back=5e-7)
def hard_sigmoid_convolution(k: Any) -> Any:
    la = k.layers
    return chain(k, (8, 8, 3), la.Conv2D(4, 3, activation="hard_sigmoid"), la.GlobalMaxPooling2D(), la.Dense(2))


@case(IMAGE, losses=1e-5)
def strided(k: Any) -> Any:
    la = k.layers
    layers = [la.Conv2D(4, 3, strides=2, padding="same", groups=1, use_bias=False), la.ZeroPadding2D(((1, 0), (0, 1)))]
    layers += [la.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1), la.Cropping2D(1)]
    layers += [la.Conv2D(2, 2, dilation_rate=2), la.AveragePooling2D(2, padding="same"), la.UpSampling2D(2)]
    return chain(k, (8, 8, 3), *layers, la.Flatten(), la.Dense(2))


@case(SEQUENCE)
def rows(k: Any) -> Any:
    la = k.layers
    layers = [la.ZeroPadding1D(1), la.Conv1D(4, 3, padding="causal", activation="relu"), la.MaxPooling1D(2)]
    layers += [
        la.Conv1DTranspose(3, 2, strides=2),
        la.SeparableConv1D(4, 2),
        la.UpSampling1D(2),
        la.AveragePooling1D(2),
    ]
    layers += [la.DepthwiseConv1D(2), la.Cropping1D(1)]
    return chain(k, (5, 3), *layers, la.GlobalAveragePooling1D(), la.Dense(2))


@case(VOLUME, optimizer=ADAM)
def volumes(k: Any) -> Any:
    la = k.layers
    layers = [la.ZeroPadding3D(1), la.Conv3D(3, 2, activation="relu"), la.MaxPooling3D(2), la.Conv3DTranspose(2, 2)]
    layers += [la.UpSampling3D(2), la.AveragePooling3D(2), la.Cropping3D(((1, 0), (0, 1), (0, 0)))]
    return chain(k, (5, 5, 5, 2), *layers, la.GlobalMaxPooling3D(), la.Dense(2))


@case(SEQUENCE, loss=None)
def spatial_dropout(k: Any) -> Any:
    la = k.layers
    return chain(k, (5, 3), la.SpatialDropout1D(0.2), la.GlobalMaxPooling1D(keepdims=True), la.Flatten(), la.Dense(2))


@case(VECTOR, bound=1e-6, losses=1e-5, optimizer=ADAM)
def normalized_vectors(k: Any) -> Any:
    la = k.layers
    layers = [la.BatchNormalization(momentum=0.9), la.Dense(4), la.BatchNormalization(scale=False, center=True)]
    return chain(k, (6,), *layers, la.LayerNormalization(epsilon=1e-5), la.UnitNormalization(), la.Dense(2))


@case(IMAGE, bound=1e-5, losses=2e-5, optimizer=ADAM)
def normalized_images(k: Any) -> Any:
    la = k.layers
    layers = [la.Conv2D(4, 3), la.BatchNormalization(), la.Activation("relu"), la.GroupNormalization(groups=2)]
    return chain(k, (8, 8, 3), *layers, la.LayerNormalization(axis=[1, 2]), la.GlobalAveragePooling2D(), la.Dense(2))


@case(lambda: numbers(8, 8, 3, scale=50.0), loss=None, bound=1e-6)
def images(k: Any) -> Any:
    la = k.layers
    layers = [la.Resizing(10, 9), la.CenterCrop(8, 8), la.Rescaling(1 / 127.5, offset=-1)]
    layers += [
        la.RandomFlip(seed=1),
        la.RandomRotation(0.1, seed=1),
        la.RandomZoom(0.1, seed=1),
        la.RandomContrast(0.1),
    ]
    layers += [la.RandomTranslation(0.1, 0.1), la.RandomBrightness(0.1)]
    return chain(k, (8, 8, 3), *layers, la.Conv2D(2, 3))


@case(IMAGE, loss=None)
def resized(k: Any) -> Any:
    la = k.layers
    i = k.Input((8, 8, 3))
    ways = [la.Resizing(6, 6, way)(i) for way in ("nearest", "bicubic", "bilinear")]
    ways.append(la.UpSampling2D(3, interpolation="bilinear")(la.Cropping2D(3)(i)))
    return k.Model(i, la.Concatenate()(ways))


@case(lambda: numbers(4, 6, 6, 2), losses=1e-5, bound=1e-6, optimizer=ADAM)
def convolution_per_step(k: Any) -> Any:
    la = k.layers
    per_step = la.TimeDistributed(la.Conv2D(2, 2, activation="relu"))
    return chain(
        k, (4, 6, 6, 2), per_step, la.ConvLSTM2D(2, 2, recurrent_activation="sigmoid"), la.Flatten(), la.Dense(2)
    )


@case(lambda: numbers(3, 5, 5, 2), sides=OLD, losses=1e-5, bound=1e-6)
def convolution_lstm_of_keras_2(k: Any) -> Any:
    la = k.layers
    return chain(k, (3, 5, 5, 2), la.ConvLSTM2D(2, 2), la.Flatten(), la.Dense(2))


@case(lambda: numbers(3, 5, 2), sides=OLD, losses=1e-5, bound=1e-6)
def convolution_lstm_of_rows(k: Any) -> Any:
    la = k.layers
    return chain(k, (3, 5, 2), la.ConvLSTM1D(2, 2, return_sequences=True), la.Flatten(), la.Dense(2))
