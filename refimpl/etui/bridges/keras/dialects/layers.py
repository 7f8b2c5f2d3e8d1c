"""Layers of Keras 2 beside those of Keras 3: what differs in their attributes, and which have no equal (annex E).

A layer that is in no table here has the same class and the same attributes on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.content import Dialect

Meaningless = Mapping[str, tuple[Any, ...] | None]
"""Attribute -> the values with which it may be left out, or `None` where it never changes what the layer computes."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between one class of Keras 2 and the one of Keras 3.

    Attributes:
        old: attributes that only Keras 2 has.
        new: attributes that only Keras 3 has.
        renamed: name in Keras 2 -> name in Keras 3.
    """

    old: Meaningless = field(default_factory=dict)
    new: Meaningless = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def only_in(self, dialect: Dialect) -> Meaningless:
        """The attributes that only one side has."""
        return self.old if dialect == "tf_keras" else self.new

    def names_for(self, dialect: Dialect) -> Mapping[str, str]:
        """The names to change where `dialect` is the target."""
        return self.renamed if dialect == "keras" else {new: old for old, new in self.renamed.items()}


# Attributes that any layer may have.
EVERY = Differences(
    old={
        "batch_input_shape": None,
        "dynamic": (False, None),
        "input_dtype": None,
        "input_spec": None,
    },
    new={
        "autocast": (True,),
        "gptq_unpacked_column_size": None,
        "lora_alpha": (None,),
        "lora_rank": (None,),
        "quantization_config": (None,),
    },
)
_MODEL = Differences(new={"dtype": None, "trainable": None})
_SEED = {"seed": None}
_FORMAT: Meaningless = {"data_format": ("channels_last", None)}
_GROUPS = Differences(old={"groups": (1,), "kernel_initializer": None})
_SEPARABLE = Differences(
    old={"groups": (1,), "kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
)
_RECURRENT = Differences(
    old={"implementation": None, "time_major": (False, None)},
    new={**_SEED, "use_cudnn": None},
)
_CELL = Differences(old={"implementation": None}, new=_SEED)
_SPATIAL: Meaningless = {"noise_shape": (None,), "trainable": None}
_RANDOM = Differences(old={"rng_type": None}, new=_FORMAT)
_LOOKUP = Differences(new={"oov_method": ("floormod",), "salt": (None,)})

LAYERS: dict[str, Differences] = {
    "Attention": Differences(new=_SEED),
    "AdditiveAttention": Differences(new=_SEED),
    "BatchNormalization": Differences(
        old={"fused": None, "virtual_batch_size": (None,), "adjustment": (None,)},
        new={"renorm": (False,), "renorm_clipping": None, "renorm_momentum": None},
    ),
    "CategoryEncoding": Differences(old={"sparse": (False,)}),
    "CenterCrop": Differences(new=_FORMAT),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), Differences(old={"groups": (1,)})),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _RECURRENT),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _GROUPS),
    "Discretization": Differences(old={"trainable": None}),
    "Embedding": Differences(old={"input_length": None, "sparse": None, "activity_regularizer": (None,)}),
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN", "RNN"), _RECURRENT),
    **dict.fromkeys(("GRUCell", "LSTMCell", "SimpleRNNCell", "ConvLSTMCell"), _CELL),
    "HashedCrossing": Differences(old={"trainable": None}),
    "InputLayer": Differences(old={"type_spec": (None,)}, renamed={"batch_input_shape": "batch_shape"}),
    "IntegerLookup": _LOOKUP,
    "LayerNormalization": Differences(new={"rms_scaling": (False,)}),
    "LeakyReLU": Differences(renamed={"alpha": "negative_slope"}),
    "MultiHeadAttention": Differences(
        old={"query_shape": None, "key_shape": None, "value_shape": None, "softmax_robust_masking": (False,)},
        new={**_SEED, "flash_attention": None, "sliding_window": (None,), "use_gate": (False,)},
    ),
    "RandomBrightness": _RANDOM,
    "RandomContrast": Differences(
        old={"rng_type": None}, new={**_FORMAT, "value_range": ([0, 255], (0, 255), [0.0, 255.0])}
    ),
    **dict.fromkeys(("RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"), _RANDOM),
    "Resizing": Differences(
        new={
            **_FORMAT,
            "antialias": (False,),
            "fill_mode": None,
            "fill_value": None,
            "pad_to_aspect_ratio": (False,),
        }
    ),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _SEPARABLE),
    "Sequential": _MODEL,
    "Softmax": Differences(old={"robust_masking": (False,)}),
    "SpatialDropout1D": Differences(old=_SPATIAL),
    **dict.fromkeys(("SpatialDropout2D", "SpatialDropout3D"), Differences(old=_SPATIAL, new=_FORMAT)),
    "StringLookup": _LOOKUP,
    "ThresholdedReLU": Differences(renamed={"theta": "threshold"}),
    "ZeroPadding1D": Differences(new=_FORMAT),
}

# Classes of Keras 2 whose equal in Keras 3 has another name.
RENAMED = {"ThresholdedReLU": "ReLU", "SyncBatchNormalization": "BatchNormalization"}
# Packages of Keras 2 whose classes `keras.layers` exports today.
OLD_PACKAGES = ("layers.experimental.preprocessing.", "layers.experimental.", "layers.preprocessing.")

_COLUMNS = "Keras 3 has no feature columns"
_CUDNN = "its gates have two biases, of which Keras 3 has one"
_RANDOM_SIZE = "Keras 3 has no layer that gives images a random size"
_UNSHARED = "Keras 3 has no convolution without shared weights"

_CROP = "outside of training Keras 2 gives the image the size that is asked for, and Keras 3 leaves it as it is"

# Classes without an equal in Keras 3, and why; one of them has a namesake there that does something else.
ONLY_OLD: dict[str, str] = {
    "AbstractRNNCell": "it is a base class for cells, which Keras 3 does not have",
    "CuDNNGRU": _CUDNN,
    "CuDNNLSTM": _CUDNN,
    "DenseFeatures": _COLUMNS,
    "DynamicEmbedding": "Keras 3 has no embedding that grows",
    "DynamicLookup": "Keras 3 has no vocabulary that grows",
    "LinearModel": "Keras 3 has no linear model of this kind",
    "LocallyConnected1D": _UNSHARED,
    "LocallyConnected2D": _UNSHARED,
    "PreprocessingLayer": "it is a base class, which Keras 3 does not have",
    "RandomCrop": _CROP,
    "RandomFourierFeatures": "Keras 3 has no such layer",
    "RandomHeight": _RANDOM_SIZE,
    "RandomWidth": _RANDOM_SIZE,
    "SequenceFeatures": _COLUMNS,
    "WideDeepModel": "Keras 3 has no wide and deep model",
}

_AUGMENTATION = "Keras 2 has no such augmentation"
_ADAPTIVE = "Keras 2 has no pooling to a given size"

# Classes without an equal in Keras 2, and why.
ONLY_NEW: dict[str, str] = {
    **{f"Adaptive{kind}Pooling{rank}D": _ADAPTIVE for kind in ("Average", "Max") for rank in (1, 2, 3)},
    **dict.fromkeys(
        (
            "AugMix",
            "AutoContrast",
            "ContrastLimitedAdaptiveHistogramEqualization",
            "CutMix",
            "Equalization",
            "MixUp",
            "RandAugment",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomElasticTransform",
            "RandomErasing",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "Solarization",
        ),
        _AUGMENTATION,
    ),
    "FlaxLayer": "it holds a module of Flax",
    "GroupQueryAttention": "Keras 2 has no attention with fewer keys than queries",
    "JaxLayer": "it holds a function of JAX",
    "MaxNumBoundingBoxes": "Keras 2 has no bounding boxes",
    "MelSpectrogram": "Keras 2 has no such layer",
    "Pipeline": "Keras 2 has no such layer",
    "RMSNormalization": "Keras 2 has no normalization by the root mean square alone",
    "RandomCrop": _CROP,
    "ReversibleEmbedding": "Keras 2 has no embedding that is also its inverse",
    "STFTSpectrogram": "Keras 2 has no such layer",
    "TFSMLayer": "it holds a SavedModel",
    "TorchModuleWrapper": "it holds a module of PyTorch",
}

# Attributes that Keras 2 asks for when it reads a class, with the values by which it finds them itself.
ASKED: dict[str, dict[str, None]] = {
    "MultiHeadAttention": dict.fromkeys(("query_shape", "key_shape", "value_shape")),
}
# Layers whose result has a dtype of its own, whatever the policy; in Keras 2 the policy must be that one.
OWN_DTYPE = frozenset({"IntegerLookup", "StringLookup", "TextVectorization"})
# Layers that take a list of tensors, also where it has one member.
MERGES = frozenset({"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"})
# Layers that Keras 2 calls with a list of the input and its initial states.
RECURRENT = frozenset({"Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"})
# Groups of the layers that a layer makes by itself, where the two sides name them differently: name in Keras 3 -> 2.
MADE = {
    "MultiHeadAttention": {
        "dropout_layer": "_dropout_layer",
        "key_dense": "_key_dense",
        "output_dense": "_output_dense",
        "query_dense": "_query_dense",
        "softmax": "_softmax",
        "value_dense": "_value_dense",
    }
}
# Positional parameters behind the first one, in Keras 3's order.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "MultiHeadAttention": (
        "value",
        "key",
        "query_mask",
        "value_mask",
        "key_mask",
        "attention_mask",
        "return_attention_scores",
        "training",
        "use_causal_mask",
    ),
    "Attention": ("mask", "training", "return_attention_scores", "use_causal_mask"),
    "AdditiveAttention": ("mask", "training", "return_attention_scores", "use_causal_mask"),
    "BatchNormalization": ("training", "mask"),
    "Bidirectional": ("initial_state", "mask", "training"),
    "TimeDistributed": ("training", "mask"),
    "CategoryEncoding": ("count_weights",),
    **dict.fromkeys(
        ("GRU", "LSTM", "RNN", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
        ("initial_state", "mask", "training"),
    ),
    **dict.fromkeys(("Functional", "Sequential"), ("training", "mask")),
    **dict.fromkeys(("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout"), ("training",)),
}
# Masks that Keras 3 writes down and Keras 2 hands on by itself.
IMPLICIT_MASKS = frozenset({"query_mask", "value_mask", "key_mask"})


def class_of_layer(op: str) -> str | None:
    """The class of a layer that Keras exports, without the packages of Keras 2; `None` for what is no such layer."""
    framework, _, name = op.partition(":")
    if framework != "keras":
        return None
    for package in OLD_PACKAGES:
        name = name.removeprefix(package)
    return None if "." in name else name


def differences(name: str) -> Differences:
    """The differences of a class."""
    return LAYERS.get(name, _NONE)


_NONE = Differences()
