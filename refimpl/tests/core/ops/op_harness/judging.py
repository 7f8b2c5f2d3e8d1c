"""Judging: a side's outputs of drawn cases against those of the reference evaluator in float64."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from etui.core.evaluate import evaluate
from etui.core.vocabulary import ops

from .case import CASES, Case, Draw

BOUNDS: Mapping[str, float] = {"float64": 1e-11, "float32": 1e-5, "float16": 1e-2, "bfloat16": 6e-2}
"""By dtype: the largest difference from the float64 reference that is allowed, relative to the largest absolute value
of the reference's output, or to 1 where that is less. Outputs that are no floats are equal."""

CONSTANTS_OF_KERAS = (
    "leaky_relu", "relu", "elu", "activation", "mha", "gqa", "normalization", "rescale", "resize",
)  # fmt: skip
"""Ops that Keras computes with constants of float32 (a slope, 1/√d, the weights of a filter) even in float64; their
bound in float64 is that of float32."""

SIDES = ("keras", "keras_jax", "torch", "jax", "onnx")

EXAMPLES: Mapping[str, Mapping[str, int]] = {
    "keras": {"float64": 8, "float32": 8, "float16": 3, "bfloat16": 3},
    "keras_jax": {"float32": 4},
    "torch": {"float64": 8, "float32": 8, "float16": 3, "bfloat16": 3},
    "jax": {"float64": 3, "float32": 3, "float16": 1, "bfloat16": 1},
    "onnx": {"float32": 16},
}
"""By side: cases that are drawn for each op and dtype. JAX, which compiles each, is asked for fewer, and Keras on JAX,
which turns float64 to float32, for one dtype, as are programs of ONNX, which compute in float32."""

FUNCTIONS = {"unary": 5, "binary": 4, "activation": 4, "reduce": 2}
"""Ops that are many functions, and by what their number of cases is multiplied."""

NARROW = (
    "dense", "einsum_dense", "conv", "depthwise_conv", "batch_norm", "layer_norm", "rms_norm", "mha", "dot_attention",
    "activation", "relu", "softmax", "max_pool", "avg_pool", "global_avg_pool", "add", "mul", "concat", "pad",
    "reshape",
)  # fmt: skip
"""The ops that are tried in dtypes of 16 bits, too: those that layers of mixed precision are made of."""

ON_JAX = (
    "conv", "conv_transpose", "depthwise_conv", "separable_conv", "max_pool", "avg_pool", "adaptive_avg_pool",
    "simple_rnn", "lstm", "gru", "bidirectional",
)  # fmt: skip
"""What Keras is asked for with JAX as well: channels before the spatial axes, which TensorFlow lacks on a CPU, and
first states before masked steps, which Keras forgets with TensorFlow."""

NOT_JUDGED: dict[str, dict[str, str]] = {side: {} for side in SIDES}
"""By side: the ops that it is not asked to compute, and why not."""

NOT_JUDGED["keras_jax"] |= {op: "is judged with TensorFlow" for op in ops() if op not in ON_JAX}


@dataclass
class Verdict:
    """What became of an op with a side.

    Attributes:
        cases: dtype -> number of different cases that were judged.
        fault: what was wrong with one of them, or empty.
        worst: dtype -> the largest relative difference.
        seconds: how long it took.
    """

    cases: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    worst: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def compute_of(side: str) -> Callable[[Case], list[Any]]:
    """The function of a side that computes the outputs of a case, flattened."""
    module = import_module(f"op_harness.{side.removesuffix('_jax')}_side")
    function: Callable[[Case], list[Any]] = module.compute
    return function


def makers() -> Mapping[str, Callable[[Draw], Case]]:
    """What draws the cases of each op."""
    for name in ("layers", "sequences", "tensors"):
        import_module(f"op_harness.{name}")
    return CASES


def reference(case: Case) -> list[Any]:
    """The outputs of the case by the evaluator, in float64."""
    found = evaluate(case.model("float64"), case.arrays("float64"), training=case.training)
    found = found[0] if case.training else found
    return list(found) if isinstance(found, list | tuple) else [found]


def difference(side: str, case: Case, found: list[Any], expected: list[Any]) -> float:
    """The largest relative difference of a case.

    Raises:
        AssertionError: the outputs differ by more than the bound of the dtype, or in their number or shapes.
    """
    assert len(found) == len(expected), f"{len(found)} outputs, not {len(expected)}"
    worst = 0.0
    for index, pair in enumerate(zip(found, expected, strict=True)):
        one, right = map(np.asarray, pair)
        assert one.shape == right.shape, f"output {index} has the shape {one.shape}, not {right.shape}"
        if right.dtype.kind != "f" or one.dtype.kind in "biu":
            assert np.array_equal(words(one), words(right)), f"output {index} is {one.tolist()}, not {right.tolist()}"
            continue
        gap = distance(one, right, case.compared[index] if index < len(case.compared) and "keras" in side else None)
        assert gap <= bound_of(side, case), f"output {index} differs by {gap:.3g} in {case.dtype}:\n{one}\nnot\n{right}"
        worst = max(worst, gap)
    return worst


def distance(one: Any, right: Any, where: Any = None) -> float:
    """The largest difference of two arrays, relative to the largest value of the second; NaN if one has NaN."""
    one = one.astype(np.float64)
    if where is not None:
        one, right = (array[np.broadcast_to(where, right.shape)] for array in (one, right))
    scale = max(1.0, float(np.max(np.abs(right), initial=0.0)))
    return float(np.max(np.abs(one - right), initial=0.0)) / scale


def bound_of(side: str, case: Case) -> float:
    """The bound that holds for a case."""
    if side == "keras" and case.dtype == "float64" and case.op in CONSTANTS_OF_KERAS:
        return BOUNDS["float32"]
    return BOUNDS[case.dtype]


def words(array: Any) -> Any:
    """Strings of bytes as text; everything else as it is."""
    if array.dtype.kind not in "OS":
        return array
    texts = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    return np.array(texts, dtype=object).reshape(array.shape)


def judge(side: str, op: str) -> Verdict:
    """Draw the cases of an op, the same ones in every run, and judge what a side makes of them."""
    compute, make = compute_of(side), makers()[op]
    verdict, start = Verdict(), time.process_time()
    for dtype in EXAMPLES[side]:
        if dtype in {"float16", "bfloat16"} and op not in NARROW:
            continue
        count = EXAMPLES[side][dtype] * FUNCTIONS.get(op, 1)
        try:
            _drawn(Draws(side, dtype, count), make, compute, verdict)
        except Exception as fault:
            notes = "\n".join(note for note in getattr(fault, "__notes__", []) if note.startswith("case:"))
            verdict.fault += f"{dtype}: {type(fault).__name__}: {str(fault)[:1500]}\n{notes}\n"
    verdict.seconds = time.process_time() - start
    return verdict


@dataclass(frozen=True)
class Draws:
    """What is drawn for an op: so many cases of a dtype for a side."""

    side: str
    dtype: str
    count: int


def _drawn(draws: Draws, make: Callable[[Draw], Case], compute: Callable[[Case], list[Any]], verdict: Verdict) -> None:
    """Draw and judge the cases of one dtype; the first that is wrong ends it."""
    seen: set[str] = set()

    @settings(
        max_examples=draws.count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        case = make(Draw(data, draws.side, draws.dtype))
        try:
            gap = difference(draws.side, case, compute(case), reference(case))
        except Exception as fault:
            fault.add_note(f"case: {case}")
            raise
        if str(case) not in seen:
            seen.add(str(case))
            verdict.cases[draws.dtype] = verdict.cases.get(draws.dtype, 0) + 1
        verdict.worst[draws.dtype] = max(verdict.worst.get(draws.dtype, 0.0), gap)

    check()


def every_op() -> list[str]:
    """The ops of the vocabulary."""
    return list(ops())
