"""Cases of losses (SPEC.md K.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from semantics_computed import DATA, WEIGHTS, Config, computed, core
from semantics_store import Json

from etui.core import losses

_NONE = {"reduction": "none"}
_SOME = np.array([True, False, True])
_MASK = np.array([[True, False, True], [True, True, False], [False, False, True]])
_STEPS = np.array([[0.5, 2.0, 1.0], [1.5, 0.25, 1.0], [1.0, 1.0, 0.75]])
_LOSSES: list[tuple[str, str, str, str, Config]] = [
    ("mean_squared_error", "values", "numbers", "others", _NONE),
    ("mean_squared_error", "frames", "frames", "frame_targets", _NONE),
    ("mean_squared_error", "column", "yes_no", "column", _NONE),
    ("mean_absolute_error", "values", "numbers", "others", _NONE),
    ("mean_absolute_percentage_error", "values", "numbers", "others", _NONE),
    ("mean_absolute_percentage_error", "near-zero", "zeros", "others", _NONE),
    ("mean_squared_logarithmic_error", "values", "numbers", "others", _NONE),
    ("cosine_similarity", "values", "numbers", "others", _NONE),
    ("cosine_similarity", "axis", "frames", "frame_targets", {"axis": 1, **_NONE}),
    ("cosine_similarity", "zeros", "zeros", "others", _NONE),
    ("huber", "values", "numbers", "others", _NONE),
    ("huber", "delta", "numbers", "others", {"delta": 0.25, **_NONE}),
    ("log_cosh", "values", "numbers", "others", _NONE),
    ("hinge", "signs", "signs", "logits", _NONE),
    ("hinge", "labels", "labels", "logits", _NONE),
    ("hinge", "numbers", "numbers", "logits", _NONE),
    ("squared_hinge", "signs", "signs", "logits", _NONE),
    ("squared_hinge", "labels", "labels", "logits", _NONE),
    ("categorical_hinge", "values", "one_hot", "logits", _NONE),
    ("kl_divergence", "values", "shares", "more_shares", _NONE),
    ("kl_divergence", "clipped", "edge_labels", "edges", _NONE),
    ("poisson", "values", "labels", "shares", _NONE),
    ("poisson", "zero", "edge_labels", "edges", _NONE),
    ("binary_crossentropy", "values", "labels", "shares", _NONE),
    ("binary_crossentropy", "clipped", "edge_labels", "edges", _NONE),
    ("binary_crossentropy", "logits", "labels", "logits", {"from_logits": True, **_NONE}),
    ("binary_crossentropy", "smoothing", "labels", "shares", {"label_smoothing": 0.25, **_NONE}),
    ("binary_crossentropy", "axis", "labels", "shares", {"axis": 0, **_NONE}),
    ("binary_focal_crossentropy", "values", "labels", "shares", _NONE),
    ("binary_focal_crossentropy", "gamma", "labels", "shares", {"gamma": 1.5, **_NONE}),
    (
        "binary_focal_crossentropy",
        "balanced",
        "labels",
        "logits",
        {"from_logits": True, "apply_class_balancing": True, "alpha": 0.75, "label_smoothing": 0.25, **_NONE},
    ),
    ("categorical_crossentropy", "values", "one_hot", "shares", _NONE),
    ("categorical_crossentropy", "clipped", "edge_labels", "edges", _NONE),
    ("categorical_crossentropy", "logits", "one_hot", "logits", {"from_logits": True, **_NONE}),
    ("categorical_crossentropy", "smoothing", "one_hot", "shares", {"label_smoothing": 0.25, **_NONE}),
    ("categorical_focal_crossentropy", "values", "one_hot", "shares", _NONE),
    (
        "categorical_focal_crossentropy",
        "logits",
        "one_hot",
        "logits",
        {"from_logits": True, "alpha": 0.5, "gamma": 1.5, **_NONE},
    ),
    ("categorical_focal_crossentropy", "smoothing", "one_hot", "shares", {"label_smoothing": 0.25, **_NONE}),
    (
        "categorical_focal_crossentropy",
        "axis",
        "frame_shares",
        "frame_targets",
        {"axis": 1, "from_logits": True, **_NONE},
    ),
    ("categorical_crossentropy", "axis", "frame_shares", "frame_targets", {"axis": 1, "from_logits": True, **_NONE}),
    ("categorical_crossentropy", "axis-shares", "frame_targets", "frame_shares", {"axis": 1, **_NONE}),
    ("binary_focal_crossentropy", "axis", "labels", "shares", {"axis": 0, **_NONE}),
    ("sparse_categorical_crossentropy", "axis", "frame_places", "frame_shares", {"axis": 1, **_NONE}),
    ("categorical_focal_crossentropy", "clipped", "edge_labels", "edges", _NONE),
    ("sparse_categorical_crossentropy", "values", "classes", "shares", _NONE),
    ("sparse_categorical_crossentropy", "frames", "frame_classes", "frames", {"from_logits": True, **_NONE}),
    ("sparse_categorical_crossentropy", "ignored", "classes", "logits", {"from_logits": True, "ignore_class": 3}),
    ("sparse_categorical_crossentropy", "ignored-values", "classes", "shares", {"ignore_class": 1, **_NONE}),
    ("categorical_generalized_cross_entropy", "values", "classes", "shares", _NONE),
    ("categorical_generalized_cross_entropy", "q", "classes", "shares", {"q": 0.25, **_NONE}),
    ("auto_crossentropy", "binary", "yes_no", "column", _NONE),
    ("auto_crossentropy", "sparse-column", "class_column", "shares", _NONE),
    ("sparse_categorical_crossentropy", "column", "class_column", "logits", {"from_logits": True, **_NONE}),
    ("categorical_generalized_cross_entropy", "column", "class_column", "shares", _NONE),
    ("auto_crossentropy", "sparse", "classes", "shares", _NONE),
    ("auto_crossentropy", "categorical", "one_hot", "shares", _NONE),
    ("dice", "all", "labels", "shares", {}),
    ("dice", "axis", "labels", "shares", {"axis": -1, **_NONE}),
    ("tversky", "all", "labels", "shares", {"alpha": 0.25, "beta": 0.75}),
    ("tversky", "axis", "labels", "shares", {"axis": [-1], "alpha": 0.25, **_NONE}),
    ("circle", "values", "groups", "unit", {"gamma": 8.0, **_NONE}),
    ("circle", "mean", "groups", "unit", {"gamma": 8.0, "margin": 0.25}),
    ("circle", "diagonal", "pairs", "unit", {"gamma": 8.0, "remove_diagonal": False, **_NONE}),
    ("ctc", "values", "words", "steps", _NONE),
]


def cases() -> Iterator[tuple[str, Json]]:
    """Each with the name of its file."""
    for case in every_loss():
        yield "objects/losses", case


def every_loss() -> Iterator[Json]:
    """The values of every loss, then what reductions, weights and masks make of them."""
    for name, case, y, p, config in _LOSSES:
        value = core("losses", name, config)
        inputs = {"y_true": DATA[y], "y_pred": DATA[p]}
        found = losses.loss(value, DATA[y], DATA[p])
        clauses = (
            "CT-2" if config.get("reduction") == "none" else "CT-2 CT-3 CT-4" if "ignored" in case else "CT-2 CT-3"
        )
        yield computed(value, f"{name}/{case}", f"{name}: {case}", clauses, inputs, outputs={"value": found})
    for reduction in ("mean", "sum", "mean_with_sample_weight", "none"):
        config = {} if reduction == "mean" else {"reduction": reduction}
        for case, y, p, weight, mask in (
            ("plain", "numbers", "others", None, None),
            ("weights", "numbers", "others", WEIGHTS[6], None),
            ("weights-frames", "frames", "frame_targets", WEIGHTS[3][:, np.newaxis], None),
            ("mask", "frames", "frame_targets", None, np.array([[True, False], [True, True], [False, False]])),
            ("mask-and-weights", "numbers", "others", WEIGHTS[6], np.array([True, True, False, True, False, False])),
            ("no-weight", "numbers", "others", np.zeros(6), None),
        ):
            value = core("losses", "huber", config)
            given = {
                "y_true": DATA[y],
                "y_pred": DATA[p],
                "sample_weight": weight,
                "mask": mask,
            }
            found = losses.loss(value, DATA[y], DATA[p], weight, mask)
            clauses = "CT-3" if case == "plain" else "CT-3 CT-4"
            title = f"The reduction {reduction}, {case.replace('-', ' ')}"
            yield computed(value, f"reduction-{reduction}/{case}", title, clauses, given, outputs={"value": found})
    value = core("losses", "sparse_categorical_crossentropy", {"ignore_class": 3})
    inputs = {"y_true": DATA["classes"], "y_pred": DATA["shares"], "sample_weight": WEIGHTS[6]}
    found = losses.loss(value, inputs["y_true"], inputs["y_pred"], inputs["sample_weight"])
    title = "What the loss ignores is a mask, beside weights"
    yield computed(value, "ignored-and-weights", title, "CT-4", inputs, outputs={"value": found})
    yield from _spread()
    for case, y, p in (
        ("ctc/first-zero", "broken_words", "steps"),
        ("auto_crossentropy/binary-steps", "step_labels", "step_shares"),
    ):
        value = core("losses", case.partition("/")[0], _NONE)
        inputs = {"y_true": DATA[y], "y_pred": DATA[p]}
        yield computed(
            value, case, _LATER[case], "CT-2", inputs, outputs={"value": losses.loss(value, *inputs.values())}
        )


_LATER = {
    "ctc/first-zero": "Labels end at the first 0, whatever is behind it",
    "auto_crossentropy/binary-steps": "The axis of size 1 that the predictions lose makes it the binary one",
}


def _spread() -> Iterator[Json]:
    """Weights and masks that have fewer axes than the values, or one more of size 1."""
    ignoring = {"ignore_class": 2}
    for case, title, name, y, p, weight, mask in (
        ("samples", "A weight for all values of a sample", "huber", "frames", "frame_targets", WEIGHTS[3], None),
        ("square", "As many values as samples", "huber", "square", "square_targets", WEIGHTS[3], None),
        ("column", "A column of weights, one for each sample", "huber", "numbers", "others", WEIGHTS[6][:, None], None),
        ("mask", "A mask of samples beside weights of steps", "huber", "square", "square_targets", _STEPS, _SOME),
        (
            "weights",
            "Weights of samples beside a mask of steps",
            "huber",
            "square",
            "square_targets",
            WEIGHTS[3],
            _MASK,
        ),
        (
            "ignored",
            "Weights and a mask of samples beside the steps that the loss ignores",
            "sparse_categorical_crossentropy",
            "frame_classes",
            "frame_probabilities",
            WEIGHTS[3],
            _SOME,
        ),
    ):
        for reduction in ("mean", "sum", "mean_with_sample_weight", "none"):
            config = {} if reduction == "mean" else {"reduction": reduction}
            value = core("losses", name, config | (ignoring if case == "ignored" else {}))
            given = {"y_true": DATA[y], "y_pred": DATA[p], "sample_weight": weight, "mask": mask}
            found = losses.loss(value, DATA[y], DATA[p], weight, mask)
            yield computed(value, f"spread-{case}/{reduction}", title, "CT-3 CT-4", given, outputs={"value": found})
