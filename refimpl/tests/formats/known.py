"""What is not as everywhere else in the matrix: each refusal and each difference, with the reason for it.

An exception that no conversion needs any longer fails the test, as does a difference that no exception names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Exempt:
    """A refusal or difference that is as it should be, or that a framework causes.

    Attributes:
        framework, case, source, target: patterns of what it is about.
        text: a pattern for what happens; it begins with the code of a refusal or the check that sees a difference.
        reason: one sentence.
    """

    framework: str
    case: str
    source: str
    target: str
    text: str
    reason: str

    @property
    def is_judged(self) -> bool:
        """Whether a framework sees it; codes of refusals have hyphens, and the names of checks have none."""
        check = self.text.partition(":")[0]
        return "-" not in check and check not in {"base", "values"}

    def concerns(self, framework: str, case: str, source: str, target: str | None) -> bool:
        """Whether it is about this conversion, or this file; a pattern is several ones, separated by `|`."""
        pairs = ((framework, self.framework), (case, self.case), (source, self.source), (target, self.target))
        return all(
            text is None or any(fnmatchcase(text, one) for one in patterns.split("|")) for text, patterns in pairs
        )

    def matches(self, outcome: Any) -> bool:
        """Whether it explains this outcome."""
        here = self.concerns(outcome.framework, outcome.case, outcome.source, outcome.target)
        return here and fnmatchcase(outcome.text.replace("\n", " "), self.text)


NO_GRAPH = "A graph model is a graph with weights; only a source that holds such a graph can be written as one."
NO_WEIGHTS = "A config alone has no values that the target must hold."
NO_CONFIG = "Keras 3 exports variables and graphs without the config of the model."
NO_LAYER = "TensorFlow.js has no such layer, or does not heed what the layer asks for."
NO_VOCABULARY = "Keras 3 leaves a vocabulary that a layer adapted to out of its own .h5 and its JSON."
NOT_IN_HDF5 = "tf_keras does not load HDF5 weights into a model with a vocabulary."
NUMBERS = "A checkpoint numbers the members of a list, which the layout of `.keras` does not tell."
OWN_RELOAD = "The reload by tf_keras of its own SavedModel forgets the step count, and so does one written back."
NO_BASE = "No whole file of the model could be written for the framework, into which the weights would be loaded."
SUBCLASSED = "No config tells the layers of a subclassed model, so that a legacy file of it cannot be matched."
OTHER_RULE = "The legacy optimizer has an update rule that Keras 3 has not."
OTHER_CLASSES = "The classes and functions of the models' author are registered with one of the two frameworks."
OTHER_RANDOM = "The two frameworks draw other random numbers from the same seed while they train."

SUBCLASSED_CHECKPOINT = (
    "A checkpoint of a subclassed model names its variables by the model's attributes, which no config knows."
)
NO_EQUAL = "Keras 2 has no such layer."
HARD_SIGMOID = (
    "The hard sigmoid of Keras 3 has another slope, and Keras 2 can put it behind a layer only, not into a cell."
)
NO_SETTING = "Optimizers of Keras 2 have no gradient accumulation and no loss scale factor."
PRODUCT = "Of all formats, tf_keras stores the product of the momenta of Nadam in a checkpoint alone."
NOT_IN_3 = "Keras 3 has no such layer."
NO_METRIC = "Keras 2 has no such metric."
UNTOLD = (
    "A checkpoint names the variables of the author's own layers, and tells neither their order nor which are trained."
)

OWN_AXES = (
    "Keras 3.15 does not load its own legacy file of this model either: it takes a list of axes for another shape."
)
OWN_CALL = (
    "Keras 3.15 does not load its own legacy file of this model either: it puts keyword arguments among the positional."
)
OWN_OPERATION = (
    "Keras 3.15 does not load its own legacy file of this model either: it does not know its operations there."
)
OWN_FUNCTION = "Keras 3.15 does not load its own legacy file of this model either: it takes the word for a function."
OWN_SCALER = "Keras 3 leaves the scale and the counter out of its own files when it made the loss scaler by itself."
SCALE_ANEW = (
    "tf_keras leaves the scale of losses and its counter out of its files; the two frameworks begin with other scales."
)
# Defects of Etui that are known and not mended yet: each is a refusal, or a file that the framework refuses to load.
OPEN_SCALER = "Open: the variables of a loss scaler of tf_keras come in another order in a checkpoint for Keras 3."
OPEN_NUMBERS = "Open: behind an operation without variables, the objects of this checkpoint are not found."
OPEN_FUNCTION = "Open: a function of the author's is written to legacy HDF5 as a node that tf_keras does not load."
OPEN_PACKAGE = "Open: from a checkpoint with a config, a class of the author's loses its package in legacy HDF5."
CLIPPED = "The binary cross-entropy of the two frameworks differs for predictions that are no probabilities."

OTHER = "* for tf_keras|tf-savedmodel|tfjs-layers"  # of what Keras 3 made

EXCEPTIONS: tuple[Exempt, ...] = (
    Exempt("*", "*", "*", "tfjs-graph", "tfjs-graph:*", NO_GRAPH),
    Exempt("*", "*", "keras-json", "keras *|keras-h5*|keras-weights*|tf-ch*|tfjs-l*", "keras-parts:*", NO_WEIGHTS),
    Exempt("*", "*", "keras-json", "tf-savedmodel", "keras-parts:*", NO_WEIGHTS),
    Exempt("keras", "*", "tf-savedmodel, export", "keras *|keras-h5 *|keras-json*|tfjs-l*", "keras-parts:*", NO_CONFIG),
    Exempt("keras", "*", "tf-savedmodel, export", "keras-weights*|keras-h5-weights*", "weights-layout:*", NO_CONFIG),
    Exempt("*", "*", "*", "tfjs-layers", "not-complete:*TensorFlow.js*", NO_LAYER),
    Exempt("*", "half_precision|mixed_*", "*", "tfjs-layers", "node:*", "TensorFlow.js computes in float32 alone."),
    # Keras 3 to Keras 2
    Exempt("keras", "normalizations", "*", OTHER, "not-complete:*RMSNormalization*", NO_EQUAL),
    Exempt("keras", "attention_kinds", "*", OTHER, "not-complete:*GroupQuery*", NO_EQUAL),
    Exempt("keras", "transformer_dec*", "*", OTHER, "not-complete:*ReversibleEmbedding*", NO_EQUAL),
    Exempt("keras", "rnn_of_cells|conv_lstm", "*", OTHER, "not-complete:*hard sigmoid*", HARD_SIGMOID),
    Exempt("keras", "metrics_for_numbers", "*", "*", "not-complete:*Keras 2 has no PearsonCorrelation*", NO_METRIC),
    Exempt("keras", "optimizer_with_ev*", "*", OTHER, "not-complete:*gradient_accumulation_steps*", NO_SETTING),
    Exempt("keras", "custom_*|subclassed_*", "*", "* for tf_keras|tf-savedmodel", "loads:*", OTHER_CLASSES),
    Exempt("keras", "functional_nested_shared_twice", "*", "* for tf_keras|tf-savedmodel", "losses:*", CLIPPED),
    Exempt("keras", "*_encoder|*without_input", "*", "* for tf_keras|tf-savedmodel", "losses:*", OTHER_RANDOM),
    # Keras 2 to Keras 3
    Exempt("tf_keras", "one_and_three_dimensions", "*", "* for keras", "not-complete:*LocallyConnected1D*", NOT_IN_3),
    Exempt("tf_keras", "legacy_*", "*", "* for keras", "not-complete:*", OTHER_RULE),
    Exempt("tf_keras", "custom|subclassed", "*", "* for keras", "loads:*", OTHER_CLASSES),
    Exempt("tf_keras", "*late_*|words|image_batch_norm", "*", "* for keras", "losses:*", OTHER_RANDOM),
    Exempt("*", "metrics_for_numbers|*with_everything|legacy_*|*nadam", "*", "*", "base:*", NO_BASE),
    # Layers of the author's, and subclassed models
    Exempt("*", "custom*", "*", "tf-checkpoint*", "not-complete:*leads to it*", UNTOLD),
    Exempt("*", "custom*", "*", "tf-savedmodel", "savedmodel-target:*", UNTOLD),
    Exempt("keras", "custom_layers", "tf-checkpoint", "etui", "values:*", UNTOLD),
    Exempt("*", "subclassed*", "*", "keras-h5*", "keras-graph:*", SUBCLASSED),
    Exempt("*", "subclassed*", "*", "tfjs-layers", "not-complete:*no layer of the topology*", SUBCLASSED),
    Exempt("*", "subclassed*", "keras-h5*", "etui", "keras-h5-layers:*", SUBCLASSED),
    Exempt("*", "subclassed*", "*", "tf-savedmodel", "savedmodel-target:*", SUBCLASSED),
    Exempt("*", "subclassed*", "tf-checkpoint", "etui", "not-complete:*no model like it*", SUBCLASSED_CHECKPOINT),
    Exempt("*", "subclassed*", "keras*", "tf-checkpoint*", "not-complete:*", NUMBERS),
    Exempt("tf_keras", "*nadam", "tf-checkpoint", "*", "not-complete:*state residue*", PRODUCT),
    Exempt("tf_keras", "half_precision", "*", "* for keras", "losses:*", SCALE_ANEW),
    Exempt("keras", "optimizer_loss_scale", "*", "* for tf_keras|tf-savedmodel", "losses:*", SCALE_ANEW),
    Exempt("tf_keras", "half_precision", "*", "tf-checkpoint for keras", "loads:*", OPEN_SCALER),
    Exempt("keras", "numeric_features", "tf-checkpoint", "etui", "not-complete:*no model like it*", OPEN_NUMBERS),
    Exempt("tf_keras", "custom", "*", "keras-h5 for tf_keras", "loads:*", OPEN_FUNCTION),
    Exempt("keras", "custom_layers", "tf-checkpoint", "keras-h5*", "loads:*", OPEN_PACKAGE),
    # What the frameworks do with files of their own
    Exempt("keras", "normalizations", "*", "keras-h5* for keras", "loads:*layer_normalization*", OWN_AXES),
    Exempt("keras", "transformer_dec*", "*", "keras-h5* for keras", "loads:*positional arguments*", OWN_CALL),
    Exempt("keras", "attention_kinds", "*", "keras-h5* for keras", "loads:*score_mode*", OWN_FUNCTION),
    Exempt("keras", "time_distributed_model", "*", "keras-h5* for keras", "loads:*'Mean'*", OWN_OPERATION),
    Exempt("keras", "mixed_float16", "*", "keras-weights*for keras", "losses:*", OWN_SCALER),
    Exempt("keras", "mixed_float16", "*", "tf-checkpoint for keras", "loads:*", OWN_SCALER),
    Exempt("tf_keras", "*", "tf-savedmodel*", "tf-savedmodel", "losses:*", OWN_RELOAD),
    Exempt("keras", "*lookup", "*", "keras-h5* for tf_keras", "loads:*NotImplementedError*", NOT_IN_HDF5),
    Exempt("keras", "*lookup", "keras-h5|keras-json", "*", "loads:*", NO_VOCABULARY),
)  # fmt: skip

OF_EACH_EXCEPTION = 4  # in a sample

# By how much of the largest number predictions and losses may differ where another framework computes: the kernels and
# the order of their sums are not the same.
ACROSS = 2e-6
BOUNDS: dict[tuple[str, str], tuple[float, str]] = {
    ("keras", "mixed_float16"): (5e-6, "gradients in half precision"),
    ("tf_keras", "attending_adamw"): (5e-3, "gradients of queries that are mostly rounding, which Adam scales up"),
}


def bound_of(framework: str, case: str, judge: str) -> float:
    """How far predictions and losses may be apart; nothing where one framework wrote and judges."""
    if framework == judge:
        return 0.0
    return BOUNDS.get((framework, case), (ACROSS, ""))[0]


class Sample:
    """A share of the conversions: one at least of each cell, and some more of those that an exception is about.

    Args:
        share: one in so many is taken.
        judged: whether it is of what judges see, where refusals are no matter.
    """

    def __init__(self, share: int, *, judged: bool) -> None:
        self.share = share
        self.exceptions = [one for one in EXCEPTIONS if one.case != "*" and not (judged and not one.is_judged)]
        self.taken: Counter[Exempt] = Counter()
        self.cells: set[tuple[str, str, str | None]] = set()

    def takes(self, number: int, *places: tuple[str, str, str, str | None]) -> bool:
        """Whether the file or the conversion of that number, of all of its kind, is in it."""
        about = [one for one in self.exceptions if any(one.concerns(*place) for place in places)]
        cells = {(framework, source, target) for framework, _, source, target in places}
        taken = number % self.share == 0 or not cells <= self.cells
        taken = taken or any(self.taken[one] < OF_EACH_EXCEPTION for one in about)
        if taken:
            self.taken.update(about)
            self.cells |= cells
        return taken


class Known:
    """The exceptions, and which of them were met."""

    def __init__(self) -> None:
        self.met: set[Exempt] = set()

    def names(self, outcome: Any) -> bool:
        """Whether an exception names this outcome."""
        found = {exception for exception in EXCEPTIONS if exception.matches(outcome)}
        self.met |= found
        return bool(found)

    def unseen(self) -> list[Exempt]:
        """The exceptions that nothing needed."""
        return [exception for exception in EXCEPTIONS if exception not in self.met]

    def described(self) -> Iterator[str]:
        """Each exception as an item of a Markdown list."""
        for one in EXCEPTIONS:
            what = one.text.replace("*", "").strip(": ") or "any"
            yield f"- {one.framework} `{one.case}`, {one.source} to {one.target}, `{what}`: {one.reason}"
        for (framework, case), (bound, reason) in BOUNDS.items():
            yield f"- {framework} `{case}` in the other framework: within {bound:.0e}. {reason}"
