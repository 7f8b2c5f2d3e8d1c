"""Which package of Keras exports a class that a file names without saying so (SPEC.md, annex C).

The files of Keras 1 and 2, and the legacy ones of Keras 3, write `Dense` where newer ones write `keras.layers` and
`Dense`. The package follows from the place of the name, or else from the name.
"""

from __future__ import annotations

from collections.abc import Iterable

_RANKS = (1, 2, 3)


def _ranked(*patterns: str) -> Iterable[str]:
    return (pattern.replace("#", str(rank)) for pattern in patterns for rank in _RANKS)


LAYERS = frozenset(
    [
        "Activation",
        "ActivityRegularization",
        "Add",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "AugMix",
        "AutoContrast",
        "Average",
        "BatchNormalization",
        "Bidirectional",
        "CategoryEncoding",
        "CenterCrop",
        "Concatenate",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "CuDNNGRU",
        "CuDNNLSTM",
        "CutMix",
        "Dense",
        "DenseFeatures",
        "Discretization",
        "Dot",
        "Dropout",
        "ELU",
        "EinsumDense",
        "Embedding",
        "Equalization",
        "Flatten",
        "FlaxLayer",
        "GRU",
        "GRUCell",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "GroupQueryAttention",
        "HashedCrossing",
        "Hashing",
        "Identity",
        "InputLayer",
        "IntegerLookup",
        "JaxLayer",
        "LSTM",
        "LSTMCell",
        "Lambda",
        "LayerNormalization",
        "LeakyReLU",
        "LocallyConnected1D",
        "LocallyConnected2D",
        "Masking",
        "MaxNumBoundingBoxes",
        "Maximum",
        "MelSpectrogram",
        "Minimum",
        "MixUp",
        "MultiHeadAttention",
        "Multiply",
        "Normalization",
        "PReLU",
        "Permute",
        "Pipeline",
        "RMSNormalization",
        "RNN",
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
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "ReLU",
        "RepeatVector",
        "Rescaling",
        "Reshape",
        "Resizing",
        "ReversibleEmbedding",
        "STFTSpectrogram",
        "SimpleRNN",
        "SimpleRNNCell",
        "Softmax",
        "Solarization",
        "SpectralNormalization",
        "StackedRNNCells",
        "StringLookup",
        "Subtract",
        "TFSMLayer",
        "TextVectorization",
        "ThresholdedReLU",
        "TimeDistributed",
        "TorchModuleWrapper",
        "UnitNormalization",
    ]
) | frozenset(
    _ranked(
        *("AdaptiveAveragePooling#D", "AdaptiveMaxPooling#D", "AveragePooling#D", "Conv#D", "Conv#DTranspose"),
        *("ConvLSTM#D", "Cropping#D", "DepthwiseConv#D", "GlobalAveragePooling#D", "GlobalMaxPooling#D"),
        *("MaxPooling#D", "SeparableConv#D", "SpatialDropout#D", "UpSampling#D", "ZeroPadding#D"),
    )
)
# Layers of Keras 2 that are exported elsewhere, or nowhere.
_ELSEWHERE = {
    "SyncBatchNormalization": "keras.layers.experimental",
    "RandomFourierFeatures": "keras.layers.experimental",
    "DynamicEmbedding": "keras.layers.experimental",
    "PreprocessingLayer": "keras.layers.experimental.preprocessing",
    "AddLoss": "tf_keras.src.engine.base_layer",
    "AddMetric": "tf_keras.src.engine.base_layer",
    "ClassMethod": "tf_keras.src.layers.core.tf_op_layer",
    "InstanceMethod": "tf_keras.src.layers.core.tf_op_layer",
    "InstanceProperty": "tf_keras.src.layers.core.tf_op_layer",
    "SlicingOpLambda": "tf_keras.src.layers.core.tf_op_layer",
    "TFOpLambda": "tf_keras.src.layers.core.tf_op_layer",
    "TensorFlowOpLayer": "tf_keras.src.engine.base_layer",
    "Model": "keras",
    "Sequential": "keras",
}
_INITIALIZERS = frozenset(
    [
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "Identity",
        "LecunNormal",
        "LecunUniform",
        "Ones",
        "Orthogonal",
        "RandomNormal",
        "RandomUniform",
        "STFT",
        "TruncatedNormal",
        "VarianceScaling",
        "Zeros",
    ]
)
_REGULARIZERS = frozenset(["L1", "L1L2", "L2", "OrthogonalRegularizer"])
_CONSTRAINTS = frozenset(["MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm"])
_SCHEDULES = frozenset(
    [
        "CosineDecay",
        "CosineDecayRestarts",
        "ExponentialDecay",
        "InverseTimeDecay",
        "PiecewiseConstantDecay",
        "PolynomialDecay",
    ]
)
OPTIMIZERS = frozenset(
    [
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "Ftrl",
        "Lamb",
        "Lion",
        "LossScaleOptimizer",
        "Muon",
        "Nadam",
        "RMSprop",
        "SGD",
        "ScheduleFreeAdamW",
    ]
)
_LOSSES = frozenset(
    [
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CTC",
        "CategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "CategoricalGeneralizedCrossEntropy",
        "CategoricalHinge",
        "Circle",
        "CosineSimilarity",
        "Dice",
        "Hinge",
        "Huber",
        "KLDivergence",
        "LogCosh",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
        "Tversky",
    ]
)
_METRICS = frozenset(
    [
        "AUC",
        "Accuracy",
        "BinaryAccuracy",
        "BinaryCrossentropy",
        "BinaryIoU",
        "CategoricalAccuracy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "ConcordanceCorrelation",
        "CosineSimilarity",
        "F1Score",
        "FBetaScore",
        "FalseNegatives",
        "FalsePositives",
        "Hinge",
        "IoU",
        "KLDivergence",
        "LogCoshError",
        "Mean",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanIoU",
        "MeanMetricWrapper",
        "MeanRelativeError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "MeanTensor",
        "OneHotIoU",
        "OneHotMeanIoU",
        "PearsonCorrelation",
        "Poisson",
        "Precision",
        "PrecisionAtRecall",
        "R2Score",
        "Recall",
        "RecallAtPrecision",
        "RootMeanSquaredError",
        "SensitivityAtSpecificity",
        "SparseCategoricalAccuracy",
        "SparseCategoricalCrossentropy",
        "SparseTopKCategoricalAccuracy",
        "SpecificityAtSensitivity",
        "SquaredHinge",
        "Sum",
        "TopKCategoricalAccuracy",
        "TrueNegatives",
        "TruePositives",
    ]
)
# In the order in which a name is looked for whose place does not tell the package.
_PACKAGES = {
    "initializers": _INITIALIZERS,
    "regularizers": _REGULARIZERS,
    "constraints": _CONSTRAINTS,
    "layers": LAYERS,
    "optimizers.schedules": _SCHEDULES,
    "optimizers": OPTIMIZERS,
    "losses": _LOSSES,
    "metrics": _METRICS,
}
# Names that a class had in Keras 2 and TensorFlow 1, and that its later versions still read.
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "MaxPool2D": "MaxPooling2D",
    "GroupedQueryAttention": "GroupQueryAttention",
}
# Loss scalers, which tf_keras has for its newer and for its older optimizers.
_SCALERS = ("LossScaleOptimizer", "LossScaleOptimizerV3")
_POLICIES = frozenset(
    {"Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy", "QuantizedDTypePolicy", "DTypePolicyMap"}
)


def package_of(key: str) -> str | None:
    """The package that the name of a config's field implies, or `None`."""
    for ending in ("initializer", "regularizer", "constraint"):
        if key == ending or key.endswith(f"_{ending}"):
            return f"{ending}s"
    if key in ("layer", "layers", "backward_layer", "forward_layer", "cell", "cells"):
        return "layers"
    others = {"learning_rate": "optimizers.schedules", "optimizer": "optimizers", "inner_optimizer": "optimizers"}
    return others.get(key)


def identity(name: str, package: str | None, dialect: str) -> dict[str, str | None]:
    """The fields `module`, `class_name` and `registered_name` of a class that a file names by one word.

    Args:
        name: the word; ``package>Class`` for registered classes.
        package: of Keras, that the place of the name implies, or `None`.
        dialect: ``keras`` or ``tf_keras``.

    Returns:
        The three fields; a class that Keras does not have is the author's own.
    """
    known = _RENAMED.get(name, name)
    if known in _POLICIES:
        if dialect == "tf_keras":
            return {"module": "keras.mixed_precision", "class_name": "Policy", "registered_name": None}
        module = "keras" if known == "DTypePolicy" else "keras.dtype_policies"
        return {"module": module, "class_name": known, "registered_name": None}
    if dialect == "tf_keras" and package == "optimizers" and known in _SCALERS:
        return {
            "module": "tf_keras.src.mixed_precision.loss_scale_optimizer",
            "class_name": known,
            "registered_name": known,
        }
    if package in (None, "layers") and known in _ELSEWHERE:
        module = _ELSEWHERE[known]
        return {
            "module": module,
            "class_name": known,
            "registered_name": known if module.startswith("tf_keras.src.") else None,
        }
    packages = [package] if package is not None else list(_PACKAGES)
    for one in packages:
        if known in _PACKAGES[one]:
            return {"module": f"keras.{one}", "class_name": known, "registered_name": None}
    return {"module": None, "class_name": name.rpartition(">")[2], "registered_name": name}
