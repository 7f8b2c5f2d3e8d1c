"""Cases of metrics (SPEC.md K.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from semantics_cases import Array
from semantics_computed import DATA, WEIGHTS, Config, computed, core
from semantics_store import Json

from etui.canonical.values import ObjectValue
from etui.core import metrics

_SINGLE = {"rtol": 1e-6, "atol": 1e-7}
"""The reference adds 1e-7 to what it divides by, and computes in float32, where a metric counts in int32."""
_OFTEN = [("numbers", "others", ""), ("frames", "frame_targets", "-frames")]
_METRICS: list[tuple[str, str, str, str | None, Config]] = [
    *(
        (name, f"values{more}", y, p, {})
        for name in (
            "mean_squared_error",
            "root_mean_squared_error",
            "mean_absolute_error",
            "mean_absolute_percentage_error",
            "mean_squared_logarithmic_error",
            "cosine_similarity",
            "log_cosh_error",
            "huber",
        )
        for y, p, more in (_OFTEN if name in ("root_mean_squared_error", "cosine_similarity") else _OFTEN[:1])
    ),
    ("huber", "delta", "numbers", "others", {"delta": 0.25}),
    ("mean", "values", "frames", None, {}),
    ("sum", "values", "frames", None, {}),
    ("accuracy", "classes", "classes", "other_classes", {}),
    ("binary_accuracy", "half", "labels", "shares", {}),
    ("binary_accuracy", "threshold", "labels", "shares", {"threshold": 0.25}),
    ("categorical_accuracy", "values", "one_hot", "logits", {}),
    ("categorical_accuracy", "ties", "zeros", "labels", {}),
    ("sparse_categorical_accuracy", "values", "classes", "logits", {}),
    ("sparse_categorical_accuracy", "column", "class_column", "logits", {}),
    ("auto_accuracy", "sparse-column", "class_column", "shares", {}),
    ("sparse_top_k_categorical_accuracy", "column", "class_column", "shares", {"k": 3}),
    ("sparse_categorical_accuracy", "frames", "frame_classes", "frames", {}),
    ("auto_accuracy", "binary", "yes_no", "column", {}),
    ("auto_accuracy", "sparse", "classes", "shares", {}),
    ("auto_accuracy", "categorical", "one_hot", "shares", {}),
    ("top_k_categorical_accuracy", "two", "one_hot", "shares", {"k": 2}),
    ("top_k_categorical_accuracy", "ties", "one_hot", "labels", {"k": 1}),
    ("sparse_top_k_categorical_accuracy", "two", "classes", "shares", {"k": 2}),
    ("sparse_top_k_categorical_accuracy", "ids", "classes", "ids", {"k": 2, "from_sorted_ids": True}),
    ("hinge", "labels", "labels", "logits", {}),
    ("squared_hinge", "labels", "labels", "logits", {}),
    ("categorical_hinge", "values", "one_hot", "logits", {}),
    ("kl_divergence", "values", "shares", "more_shares", {}),
    ("poisson", "values", "labels", "shares", {}),
    ("binary_crossentropy", "logits", "labels", "logits", {"from_logits": True, "label_smoothing": 0.25}),
    ("binary_focal_crossentropy", "values", "labels", "shares", {"gamma": 1.5, "apply_class_balancing": True}),
    ("categorical_crossentropy", "smoothing", "one_hot", "shares", {"label_smoothing": 0.25}),
    ("categorical_focal_crossentropy", "values", "one_hot", "shares", {"alpha": 0.5}),
    ("sparse_categorical_crossentropy", "ignored", "classes", "logits", {"from_logits": True, "ignore_class": 1}),
    (
        "binary_focal_crossentropy",
        "logits",
        "labels",
        "logits",
        {"from_logits": True, "apply_class_balancing": True, "alpha": 0.75, "label_smoothing": 0.25},
    ),
    ("binary_focal_crossentropy", "axis", "frames", "frame_shares", {"axis": 1}),
    ("categorical_crossentropy", "axis", "frame_shares", "frame_targets", {"axis": 1, "from_logits": True}),
    (
        "categorical_focal_crossentropy",
        "axis",
        "frame_shares",
        "frame_targets",
        {"axis": 1, "from_logits": True, "gamma": 1.5},
    ),
    ("categorical_focal_crossentropy", "smoothing", "one_hot", "shares", {"label_smoothing": 0.25}),
    ("sparse_categorical_crossentropy", "axis", "frame_places", "frame_shares", {"axis": 1}),
    ("cosine_similarity", "axis", "frames", "frame_targets", {"axis": 1}),
    ("pearson_correlation", "axis", "frames", "frame_targets", {"axis": 1}),
    ("auto_crossentropy", "sparse", "classes", "shares", {}),
    ("pearson_correlation", "values", "numbers", "others", {}),
    ("concordance_correlation", "values", "numbers", "others", {}),
    ("concordance_correlation", "axis", "frames", "frame_targets", {"axis": 1}),
    *(
        (
            "r2_score",
            f"{how or 'each'}-{count}",
            "numbers",
            "others",
            {} if how == "uniform_average" else {"class_aggregation": how},
        )
        if not count
        else (
            "r2_score",
            f"{how}-{count}",
            "numbers",
            "others",
            {"num_regressors": count} | ({} if how == "uniform_average" else {"class_aggregation": how}),
        )
        for how in ("uniform_average", "variance_weighted_average", None)
        for count in (0, 2)
    ),
    *(
        (name, case, "labels", "beyond", {} if thresholds is None else {"thresholds": thresholds})
        for name in ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")
        for case, thresholds in (("half", None), ("many", [0.125, 0.75]), ("even", [0.0, 0.25, 0.5, 0.75, 1.0]))
    ),
    ("precision", "class", "labels", "shares", {"class_id": 3}),
    ("precision", "top-k", "labels", "shares", {"top_k": 2}),
    ("precision", "top-k-ties", "labels", "edge_labels", {"top_k": 2}),
    ("recall", "class-and-top-k", "labels", "shares", {"class_id": 1, "top_k": 2}),
    ("recall", "class", "labels", "shares", {"class_id": 2, "thresholds": 0.25}),
    *(
        (name, "seven", "labels", "shares", {rate: 0.5, "num_thresholds": 7})
        for name, rate in (
            ("sensitivity_at_specificity", "specificity"),
            ("specificity_at_sensitivity", "sensitivity"),
            ("precision_at_recall", "recall"),
            ("recall_at_precision", "precision"),
        )
    ),
    *(
        (name, "class", "labels", "shares", {rate: 0.25, "num_thresholds": 5, "class_id": 1})
        for name, rate in (
            ("sensitivity_at_specificity", "specificity"),
            ("specificity_at_sensitivity", "sensitivity"),
            ("precision_at_recall", "recall"),
            ("recall_at_precision", "precision"),
        )
    ),
    ("recall_at_precision", "never", "zeros", "shares", {"precision": 0.9375, "num_thresholds": 3}),
    ("precision_at_recall", "one", "labels", "shares", {"recall": 0.25, "num_thresholds": 1}),
    *(
        (
            "auc",
            f"{curve}-{method}",
            "labels",
            "hits",
            {"num_thresholds": 7}
            | ({} if curve == "ROC" else {"curve": curve})
            | ({} if method == "interpolation" else {"summation_method": method}),
        )
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    ("auc", "default", "labels", "shares", {}),
    ("auc", "thresholds", "labels", "shares", {"thresholds": [0.75, 0.1875]}),
    ("auc", "logits", "labels", "logits", {"from_logits": True, "num_thresholds": 7}),
    ("auc", "labels", "labels", "shares", {"multi_label": True, "num_thresholds": 5}),
    (
        "auc",
        "label-weights",
        "labels",
        "shares",
        {"multi_label": True, "num_labels": 4, "label_weights": [1.0, 2.0, 0.5, 3.0], "num_thresholds": 5},
    ),
    ("auc", "flat-weights", "labels", "shares", {"label_weights": [1.0, 2.0, 0.5, 3.0], "num_thresholds": 5}),
    *(
        ("f1_score", how or "each", "one_hot", "shares", {} if how is None else {"average": how})
        for how in (None, "macro", "weighted", "micro")
    ),
    ("f1_score", "threshold", "labels", "shares", {"threshold": 0.25}),
    ("fbeta_score", "beta", "labels", "shares", {"beta": 2.0, "threshold": 0.4375}),
    ("fbeta_score", "beta-micro", "labels", "shares", {"average": "micro", "beta": 0.5, "threshold": 0.4375}),
    ("iou", "two", "classes", "other_classes", {"num_classes": 4, "target_class_ids": [0, 2]}),
    (
        "iou",
        "ignored",
        "classes",
        "other_classes",
        {"num_classes": 4, "target_class_ids": [0, 1, 3], "ignore_class": 1},
    ),
    (
        "iou",
        "vectors",
        "one_hot",
        "logits",
        {"num_classes": 4, "target_class_ids": [0, 1], "sparse_y_true": False, "sparse_y_pred": False},
    ),
    ("binary_iou", "half", "yes_no", "column", {}),
    ("binary_iou", "threshold", "yes_no", "column", {"threshold": 0.25, "target_class_ids": [1]}),
    ("mean_iou", "all", "classes", "other_classes", {"num_classes": 5}),
    (
        "mean_iou",
        "vectors",
        "frame_shares",
        "frames",
        {"num_classes": 2, "sparse_y_true": False, "sparse_y_pred": False, "axis": 1, "ignore_class": 0},
    ),
    ("one_hot_iou", "axis", "frame_shares", "frames", {"num_classes": 2, "target_class_ids": [0, 1], "axis": 1}),
    (
        "one_hot_iou",
        "sparse",
        "one_hot",
        "other_classes",
        {"num_classes": 4, "target_class_ids": [0, 2, 3], "sparse_y_pred": True, "ignore_class": 2},
    ),
    ("one_hot_mean_iou", "axis", "frame_shares", "frames", {"num_classes": 2, "axis": 1}),
    (
        "one_hot_mean_iou",
        "sparse",
        "one_hot",
        "other_classes",
        {"num_classes": 4, "sparse_y_pred": True, "ignore_class": 2},
    ),
    (
        "iou",
        "axis",
        "frame_shares",
        "frames",
        {"num_classes": 2, "target_class_ids": [0, 1], "sparse_y_true": False, "sparse_y_pred": False, "axis": 1},
    ),
    ("one_hot_iou", "one", "one_hot", "shares", {"num_classes": 4, "target_class_ids": [1]}),
    ("one_hot_mean_iou", "all", "one_hot", "shares", {"num_classes": 4}),
]


def cases() -> Iterator[tuple[str, Json]]:
    """Each with the name of its file."""
    for case in every_metric():
        yield "objects/metrics", case


def every_metric() -> Iterator[Json]:
    """A batch from the beginning; then half of it as a second one, with weights, from the state after the first."""
    for name, case, y, p, config in _METRICS:
        matrix = name.endswith("iou")
        value = core("metrics", name, config if matrix else {"dtype": "float64", **config})
        clauses, tolerance = _judged(name), _SINGLE if matrix else None
        first = _batch(y, p, slice(None))
        state = metrics.update(value, {}, first["y_true"], first.get("y_pred"))
        yield computed(
            value,
            f"{name}/{case}",
            f"{name}, {case}: a batch",
            clauses,
            first,
            outputs=_after(value, state),
            tolerance=tolerance,
        )
        half = _batch(y, p, slice(0, 3))
        if not matrix:
            half["sample_weight"] = WEIGHTS[len(half["y_true"])]
        named = {"sample_weight": half.get("sample_weight")}
        then = metrics.update(value, state, half["y_true"], half.get("y_pred"), **named)
        before = {f"state/{key}": array for key, array in state.items()}
        title = f"{name}, {case}: a second batch" + ("" if matrix else ", with weights")
        yield computed(
            value,
            f"{name}/{case}-then",
            title,
            clauses,
            half | before,
            outputs=_after(value, then),
            tolerance=tolerance,
        )
    value = core("metrics", "mean_squared_error", {"dtype": "float64"})
    batch = _batch("frames", "frame_targets", slice(None)) | {
        "mask": np.array([[True, False], [True, True], [False, False]])
    }
    state = metrics.update(value, {}, batch["y_true"], batch["y_pred"], mask=batch["mask"])
    yield computed(
        value, "mean_squared_error/mask", "A mask is a weight of 0 and 1", "CT-6", batch, outputs=_after(value, state)
    )
    value = core("metrics", "mean", {"dtype": "float64"})
    batch = {"y_true": DATA["frames"], "sample_weight": np.zeros(3)}
    state = metrics.update(value, {}, batch["y_true"], sample_weight=batch["sample_weight"])
    yield computed(
        value, "mean/nothing", "Without any weight the result is 0", "CT-6", batch, outputs=_after(value, state)
    )
    value = core("metrics", "mean_iou", {"num_classes": 4, "dtype": "float64"})
    batch = _batch("classes", "other_classes", slice(None)) | {"sample_weight": WEIGHTS[6]}
    state = metrics.update(value, {}, batch["y_true"], batch["y_pred"], sample_weight=batch["sample_weight"])
    yield computed(
        value,
        "mean_iou/weights",
        "Weights in the matrix",
        "CT-8",
        batch,
        outputs=_after(value, state),
        tolerance=_SINGLE,
    )
    yield from _later()
    yield from _dtypes()


_EVEN: list[float] = [0.0, 0.25, 0.5, 0.75, 1.0]


def _later() -> Iterator[Json]:
    """Weights that are spread over elements, steps with an axis of size 1, and the largest of large predictions."""
    for name, case, title, y, p, weight, config in (
        ("true_positives", "spread", _SPREAD, "frame_labels", "frame_probabilities", WEIGHTS[3], {}),
        ("precision", "spread", _SPREAD, "frame_labels", "frame_probabilities", WEIGHTS[3][:, np.newaxis], {}),
        ("auc", "spread", _SPREAD, "frame_labels", "frame_probabilities", WEIGHTS[3], {"num_thresholds": 5}),
        ("f1_score", "column", "A column of weights", "labels", "shares", WEIGHTS[6][:, np.newaxis], {}),
        (
            "recall",
            "largest-first",
            "The largest are found before what is clipped",
            "large_labels",
            "large",
            None,
            {"thresholds": _EVEN, "top_k": 1},
        ),
        (
            "auto_accuracy",
            "binary-steps",
            "The axis of size 1 that the predictions lose makes it the binary one",
            "step_labels",
            "step_shares",
            None,
            {},
        ),
    ):
        value = core("metrics", name, {"dtype": "float64", **config})
        batch = {"y_true": DATA[y], "y_pred": DATA[p], "sample_weight": weight}
        state = metrics.update(value, {}, DATA[y], DATA[p], sample_weight=weight)
        yield computed(value, f"{name}/{case}", title, _judged(name), batch, outputs=_after(value, state))


def _dtypes() -> Iterator[Json]:
    """States in each dtype that there is for them, and one that comes in another."""
    title = "The state is of the dtype of the metric"
    values, labels = {"y_true": DATA["frames"]}, {"y_true": DATA["labels"], "y_pred": DATA["shares"]}
    classes = {"y_true": DATA["classes"], "y_pred": DATA["other_classes"]}
    matrix = {"num_classes": 4}
    for name, dtype, config, batch in (
        *(("sum", dtype, {}, values) for dtype in ("bfloat16", "float16")),
        *(("true_positives", dtype, {}, labels) for dtype in ("bfloat16", "float16")),
        *(("mean_iou", dtype, matrix, classes) for dtype in ("int8", "uint16", "int64", "float16")),
    ):
        value = core("metrics", name, {"dtype": dtype, **config})
        state = metrics.update(value, {}, **batch)
        yield computed(
            value,
            f"{name}/dtype-{dtype}",
            title,
            "CT-5 CT-11",
            batch,
            outputs=_after(value, state),
            tolerance={"rtol": 1e-2, "atol": 1e-2} if dtype in ("bfloat16", "float16") else _SINGLE,
        )
    value = core("metrics", "sum", {"dtype": "float64"})
    before = {"total": np.float32(2.25)}
    yield computed(
        value,
        "sum/dtype-of-before",
        "A state in another dtype becomes one of the metric's",
        "CT-5",
        values | {"state/total": before["total"]},
        outputs=_after(value, metrics.update(value, before, **values)),
    )


_SPREAD = "The weight of a sample is that of all its elements"


def _batch(y: str, p: str | None, part: slice) -> dict[str, Any]:
    found: dict[str, Any] = {"y_true": DATA[y][part]}
    if p is not None:
        found["y_true"] = found["y_true"][: len(DATA[p][part])]
        found["y_pred"] = DATA[p][part]
    return found


def _after(value: ObjectValue, state: Mapping[str, Array]) -> dict[str, Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        result = metrics.result(value, state)
    return {"result": result, **{f"state/{key}": array for key, array in state.items()}}


def _judged(name: str) -> str:
    if name in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
        return "CT-5 CT-7"
    if name.endswith(("iou", "_score")):
        return "CT-5 CT-8"
    if name in ("precision", "recall", "auc") or "_at_" in name:
        return "CT-5 CT-7 CT-8"
    return "CT-5 CT-6"
