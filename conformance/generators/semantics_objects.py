"""Cases of schedules, activations, regularizers, constraints and initializers (SPEC.md J.7, J.13, K.3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from semantics_cases import Numbers
from semantics_computed import Config, computed, core
from semantics_elements import every_activation
from semantics_store import Json

from etui.canonical.values import ObjectValue
from etui.core import constraints, initializers, regularizers, schedules
from etui.core.ops.registry import activation_function


def cases() -> Iterator[tuple[str, Json]]:
    """Each object with its cases, by the name of its file."""
    for kind, maker in (
        ("schedules", every_schedule),
        ("activations", every_activation_object),
        ("regularizers", every_regularizer),
        ("constraints", every_constraint),
        ("initializers", every_initializer),
    ):
        for case in maker():
            yield f"objects/{kind}", case


_CLOCKS = np.array([0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 20, 21, 24, 30, 31, 56, 57])
_FROM = {"initial_learning_rate": 0.5}
_SCHEDULES: list[tuple[str, str, Config]] = [
    ("constant", "value", {"value": 0.25}),
    *(
        (name, case, {**_FROM, "decay_steps": 8.0, "decay_rate": 0.75, **more})
        for name in ("exponential_decay", "inverse_time_decay")
        for case, more in (("smooth", {}), ("staircase", {"staircase": True}))
    ),
    ("polynomial_decay", "line", {**_FROM, "decay_steps": 20.0}),
    ("polynomial_decay", "power", {**_FROM, "decay_steps": 20.0, "power": 2.5, "end_learning_rate": 0.125}),
    ("polynomial_decay", "cycle", {**_FROM, "decay_steps": 8.0, "cycle": True, "end_learning_rate": 0.125}),
    ("piecewise_constant", "values", {"boundaries": [3.0, 20.0], "values": [0.5, 0.25, 0.0625]}),
    ("cosine_decay", "plain", {**_FROM, "decay_steps": 20.0}),
    ("cosine_decay", "alpha", {**_FROM, "decay_steps": 24.0, "alpha": 0.125}),
    (
        "cosine_decay",
        "warmup",
        {"initial_learning_rate": 0.125, "decay_steps": 16.0, "warmup_target": 0.5, "warmup_steps": 8.0, "alpha": 0.25},
    ),
    *(
        (
            "cosine_decay_restarts",
            f"longer-{longer}",
            {**_FROM, "first_decay_steps": 8.0, "m_mul": 0.75, "alpha": 0.125} | more,
        )
        for longer, more in ((1.0, {"t_mul": 1.0}), (1.5, {"t_mul": 1.5}), (2.0, {}))
    ),
]


def every_schedule() -> Iterator[Json]:
    """The rates at some clocks, those where a schedule turns among them."""
    for name, case, config in _SCHEDULES:
        value = core("schedules", name, config)
        found = {"rate": schedules.rate(value, _CLOCKS)}
        yield computed(value, f"{name}/{case}", f"{name}: {case}", "CT-9", {"clock": _CLOCKS}, outputs=found)


# --- others -----------------------------------------------------------------------------------------------------------


def every_activation_object() -> Iterator[Json]:
    """Each activation, also at the places where it bends."""
    n = Numbers("activations")
    x = n(2, 4, 4, low=-4.0, high=4.0)
    x[0] = [[0.0, 0.5, -0.5, 1.0], [-1.0, 3.0, -3.0, 6.5], [0.75, -0.75, 1.25, -1.25], [2.5, -2.5, 30.0, -30.0]]
    for value in every_activation():
        made = value if isinstance(value, ObjectValue) else core("activations", value, {})
        name = made.class_name.rpartition(".")[2]
        told = ", ".join(f"{key} {item}" for key, item in (made.config or {}).items())
        case = "-".join([name, *(f"{key}-{item}" for key, item in (made.config or {}).items())])
        yield computed(
            made, case, f"{name} {told}".strip(), "CV-140", {"x": x}, outputs={"y": activation_function(made)(x)}
        )
    whole = np.array([[-3, 0], [1, 4]])
    for name in ("linear", "relu", "hard_tanh"):
        value = core("activations", name, {})
        given = {"y": activation_function(value)(whole).astype(np.float64)}
        title = f"{name} of integers gives floats"
        yield computed(value, f"{name}-of-integers", title, "CV-10 CV-140", {"x": whole}, outputs=given)


def every_regularizer() -> Iterator[Json]:
    """Penalties."""
    n = Numbers("regularizers")
    for name, case, shape, config in (
        ("l1", "default", (3, 2), {}),
        ("l1", "own", (2, 2, 3), {"l1": 0.25}),
        ("l2", "default", (3, 2), {}),
        ("l2", "own", (2, 2, 3), {"l2": 0.25}),
        ("l1_l2", "default", (3, 2), {}),
        ("l1_l2", "both", (3, 2), {"l1": 0.25, "l2": 0.125}),
        ("orthogonal_regularizer", "rows", (4, 3), {}),
        ("orthogonal_regularizer", "columns", (4, 3), {"mode": "columns", "factor": 0.5}),
    ):
        value, x = core("regularizers", name, config), n(*shape)
        found = {"value": regularizers.penalty(value, x)}
        yield computed(value, f"{name}/{case}", f"{name}: {case}", "CV-82", {"x": x}, outputs=found)


def every_constraint() -> Iterator[Json]:
    """Projections; one column is zeros."""
    n = Numbers("constraints")
    for name, case, shape, config in (
        ("max_norm", "default", (5, 3), {}),
        ("max_norm", "axes", (2, 3, 4), {"max_value": 1.0, "axis": [0, 1]}),
        ("min_max_norm", "default", (5, 3), {}),
        ("min_max_norm", "rate", (5, 3), {"min_value": 2.5, "max_value": 3.0, "rate": 0.75}),
        ("min_max_norm", "axis", (5, 3), {"min_value": 1.5, "axis": 1, "max_value": 2.0}),
        ("unit_norm", "default", (5, 3), {}),
        ("unit_norm", "axis", (5, 3), {"axis": 1}),
        ("non_neg", "default", (5, 3), {}),
    ):
        value, x = core("constraints", name, config), n(*shape)
        x[..., 0] = 0.0
        x[..., 1] /= 2**20
        found = {"y": constraints.project(value, x)}
        yield computed(value, f"{name}/{case}", f"{name}: {case}", "CV-83", {"x": x}, outputs=found)


def every_initializer() -> Iterator[Json]:
    """Those that draw nothing."""
    for name, case, shape, config in (
        ("zeros", "matrix", [2, 3], {}),
        ("ones", "vector", [4], {}),
        ("constant", "default", [2], {}),
        ("constant", "number", [2, 2], {"value": 0.375}),
        ("constant", "list", [2, 3], {"value": [0.5, -1.0, 2.0]}),
        ("identity", "square", [3, 3], {}),
        ("identity", "gain", [2, 4], {"gain": 1.5}),
    ):
        value = core("initializers", name, config)
        found = {"y": initializers.draw(value, shape, np.float64)}
        yield computed(value, f"{name}/{case}", f"{name}: {case}", "CV-80", {"shape": np.array(shape)}, outputs=found)
