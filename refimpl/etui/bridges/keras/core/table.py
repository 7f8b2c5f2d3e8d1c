"""All rules by the class of Keras and by the core op, and the classes that have no core equal (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from etui.bridges.keras.core.composed import COMPOSED
from etui.bridges.keras.core.rules import Rule
from etui.bridges.keras.core.table_linear import CONVOLUTION, LINEAR, NORMALIZATION
from etui.bridges.keras.core.table_operation_shapes import SHAPE_OPERATIONS
from etui.bridges.keras.core.table_operations import OPERATIONS
from etui.bridges.keras.core.table_others import ACTIVATION, PREPROCESSING, RANDOM
from etui.bridges.keras.core.table_sequences import ATTENTION, RECURRENT, WRAPPERS
from etui.bridges.keras.core.table_shaping import MERGING, POOLING, RESIZING, SHAPING

RULES: tuple[Rule, ...] = (
    *LINEAR,
    *CONVOLUTION,
    *NORMALIZATION,
    *RECURRENT,
    *WRAPPERS,
    *ATTENTION,
    *ACTIVATION,
    *POOLING,
    *RESIZING,
    *SHAPING,
    *MERGING,
    *RANDOM,
    *PREPROCESSING,
    *OPERATIONS,
    *SHAPE_OPERATIONS,
)
# Classes whose place is in the tree and the graph, which `lift` and `lower` see to: class -> core op.
STRUCTURE = {"Functional": "graph", "Sequential": "sequential", "InputLayer": "input"}

_AUGMENTATION = "it changes images at random, by a generator and by geometry that other frameworks do not share"
_CELL = "it is one step of a recurrent layer; the vocabulary has the layers"
_CODE = "its meaning is code, not data"
_CONV_LSTM = "the vocabulary has no recurrent convolution"
_BOXES = "it treats bounding boxes"

NOT_CORE: dict[str, str] = {
    **dict.fromkeys(
        (
            "AugMix",
            "AutoContrast",
            "ContrastLimitedAdaptiveHistogramEqualization",
            "CutMix",
            "Equalization",
            "MixUp",
            "RandAugment",
            "RandomBrightness",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomContrast",
            "RandomCrop",
            "RandomElasticTransform",
            "RandomErasing",
            "RandomFlip",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "RandomTranslation",
            "RandomZoom",
            "Solarization",
        ),
        _AUGMENTATION,
    ),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _CONV_LSTM),
    **dict.fromkeys(("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"), _CELL),
    "CenterCrop": "it cuts or resizes as the size of the image asks, which is not known before it runs",
    "FlaxLayer": "it holds a module of Flax",
    "HashedCrossing": "it hashes strings by Keras' own function",
    "Hashing": "it hashes strings by Keras' own function",
    "InputSpec": "it describes an input and computes nothing",
    "JaxLayer": "it holds a function of JAX",
    "Lambda": _CODE,
    "Layer": "a base class; a class of the author's own has its meaning in code",
    "MaxNumBoundingBoxes": _BOXES,
    "MelSpectrogram": "the vocabulary has no spectrogram",
    "Pipeline": "it applies augmentations, which have no core equal, to a batch of data",
    "RNN": "it runs a cell, which may be of the author's own; the vocabulary has LSTM, GRU and SimpleRNN as layers",
    "ReversibleEmbedding": "it is called in two directions, of which an op of the vocabulary has one",
    "STFTSpectrogram": "the vocabulary has no spectrogram",
    "SpectralNormalization": "it changes the variable of another layer while it trains",
    "TFSMLayer": "it holds a SavedModel",
    "TextVectorization": "it splits and normalizes text by rules of TensorFlow",
    "TorchModuleWrapper": "it holds a module of PyTorch",
    "Wrapper": "a base class, which calls nothing by itself",
}
"""Layers that Keras 3.15 exports and that stay as they are, with the reason."""

# Second names of exported layers.
ALIASES = {
    **{f"AvgPool{rank}D": f"AveragePooling{rank}D" for rank in (1, 2, 3)},
    **{f"MaxPool{rank}D": f"MaxPooling{rank}D" for rank in (1, 2, 3)},
    **{f"GlobalAvgPool{rank}D": f"GlobalAveragePooling{rank}D" for rank in (1, 2, 3)},
    **{f"GlobalMaxPool{rank}D": f"GlobalMaxPooling{rank}D" for rank in (1, 2, 3)},
    **{f"Convolution{rank}D": f"Conv{rank}D" for rank in (1, 2, 3)},
    **{f"Convolution{rank}DTranspose": f"Conv{rank}DTranspose" for rank in (1, 2, 3)},
    **{f"SeparableConvolution{rank}D": f"SeparableConv{rank}D" for rank in (1, 2)},
}


@cache
def by_class() -> dict[str, Rule]:
    """The rule of each class of Keras, by its op without the namespace."""
    return {rule.keras: rule for rule in RULES}


@cache
def by_op() -> dict[str, tuple[Rule, ...]]:
    """The rules of each core op, without its namespace; the first that fits is taken."""
    found: dict[str, tuple[Rule, ...]] = {}
    for rule in RULES:
        found[rule.op] = (*found.get(rule.op, ()), rule)
    return found


def rule_of(op: str) -> Rule | None:
    """The rule of a module's op, or `None`."""
    framework, _, name = op.partition(":")
    return by_class().get(ALIASES.get(name, name)) if framework == "keras" else None


def reason_of(op: str) -> str:
    """Why a module of this op stays as it is."""
    framework, _, name = op.partition(":")
    if framework == "custom":
        return "it is a class of the author's own"
    if framework == "keras" and name in NOT_CORE:
        return NOT_CORE[name]
    if name == "ops.nn.Sparsemax":
        return "Keras 3.15 computes another function by this name: its results do not sum to 1"
    if name.startswith("ops."):
        return "the vocabulary has no such operation"
    return "the vocabulary does not have it"


def listing() -> Iterator[str]:
    """A line for each layer and operation of Keras: its core op, or why it has none."""
    ops = {
        **STRUCTURE,
        **{name.removeprefix("keras:"): "graph" for name in COMPOSED},
        **{rule.keras: rule.op for rule in RULES},
    }
    rows = [(name, f"core:{op}") for name, op in ops.items()] + list(NOT_CORE.items())
    for name, found in sorted(rows, key=lambda row: (row[0].startswith("ops."), row[0])):
        yield f"{name:<44}{found}"
