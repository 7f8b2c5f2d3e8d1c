"""The steps of optimizers by themselves: order, counters, slots, groups, wrappers, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.optimizers import loss_scale_of, rate_of, step
from etui.core.parameters import hyperparameters
from etui.core.rules import RULES
from etui.core.rules.slots import slot_shapes
from etui.core.vocabulary import document, optimizers
from etui.errors import InvalidError

W, B = "dense/kernel", "dense/bias"
START: dict[str, Any] = {W: np.array([[1.0, -2.0], [0.5, 3.0]]), B: np.array([0.5, -1.5])}
GRADIENT: dict[str, Any] = {W: np.array([[0.3, -0.1], [2.0, -0.7]]), B: np.array([1.0, -4.0])}
SCHEDULE = ObjectValue(
    "core:schedules.inverse_time_decay", {"initial_learning_rate": 1.0, "decay_steps": 1.0} | {"decay_rate": 1.0}
)


def made(algorithm: str = "sgd", rate: float | None = 0.1, **h: Any) -> Optimizer:
    """An optimizer of both variables before its first step."""
    optimizer = Optimizer(f"core:{algorithm}", h, learning_rate=rate, groups=[Group([W, B])])
    optimizer.fresh = [W, B]
    return optimizer


def stepped(optimizer: Optimizer, count: int = 1, values: Any = None) -> tuple[Optimizer, dict[str, Any]]:
    """Several steps with the same gradient."""
    values = START if values is None else values
    for _ in range(count):
        optimizer, values = step(optimizer, values, GRADIENT)
    return optimizer, values


@pytest.mark.clause("CO-2@6f7a43")
def test_gradients_are_prepared_in_the_order_of_the_clause() -> None:
    """Unscaling, the sign, clipping, coupled decay, then the update and the constraint."""
    h: dict[str, Any] = {
        "loss_scale": 2.0,
        "maximize": True,
        "clip_value": 0.4,
        "weight_decay": 0.1,
        "decay_mode": "coupled",
    }
    constraint = {B: ObjectValue("core:constraints.non_neg", {})}
    _, values = step(made(**h), START, GRADIENT, constraints=constraint)
    clipped = {path: np.clip(-gradient / 2, -0.4, 0.4) for path, gradient in GRADIENT.items()}
    wanted = {path: START[path] - 0.1 * (clipped[path] + 0.1 * START[path]) for path in START}
    np.testing.assert_allclose(values[W], wanted[W], rtol=1e-14)
    np.testing.assert_allclose(values[B], np.maximum(wanted[B], 0), rtol=1e-14)


@pytest.mark.clause("CO-2@6f7a43")
def test_decoupled_decay_comes_before_the_update() -> None:
    """The variable loses rate * decay * p, without what is excluded, and with the gradient as it is."""
    _, values = step(made(weight_decay=0.5, decay_excluded=[B]), START, GRADIENT)
    np.testing.assert_allclose(values[W], START[W] - 0.1 * 0.5 * START[W] - 0.1 * GRADIENT[W], rtol=1e-14)
    np.testing.assert_allclose(values[B], START[B] - 0.1 * GRADIENT[B], rtol=1e-14)


@pytest.mark.clause("CO-2@6f7a43")
def test_a_variable_without_a_gradient_stays_as_it_is() -> None:
    """No decay, no update, no change of its slots."""
    optimizer, values = stepped(made("adam", weight_decay=0.1))
    later, kept = step(optimizer, values, {W: GRADIENT[W]})
    np.testing.assert_array_equal(kept[B], values[B])
    np.testing.assert_array_equal(later.slots[B]["velocity"].numpy(), optimizer.slots[B]["velocity"].numpy())
    assert not np.array_equal(kept[W], values[W])


@pytest.mark.clause("CO-2@6f7a43", "CO-1@8a87a9")
def test_a_group_has_hyperparameters_and_a_rate_of_its_own() -> None:
    """They override the optimizer's for its variables."""
    optimizer = made(weight_decay=0.5)
    optimizer.groups = [Group([W]), Group([B], {"weight_decay": 0.0, "learning_rate": 0.01})]
    _, values = step(optimizer, START, GRADIENT)
    np.testing.assert_allclose(values[B], START[B] - 0.01 * GRADIENT[B], rtol=1e-14)
    np.testing.assert_allclose(values[W], START[W] * 0.95 - 0.1 * GRADIENT[W], rtol=1e-14)


@pytest.mark.clause("CO-5@d113b4")
@pytest.mark.parametrize(("clock", "wanted"), [("step", [1.0, 1.0, 0.5]), ("micro_step", [1.0, 0.5, 1 / 3])])
def test_a_schedule_follows_its_clock(clock: str, wanted: list[float]) -> None:
    """The clock is read before the step, and counts updates or gradients."""
    optimizer = replace(made(rate=None, accumulation_steps=2), schedule=SCHEDULE, schedule_clock=clock)
    rates, values = [], START
    for _ in wanted:
        rates.append(rate_of(optimizer))
        optimizer, values = step(optimizer, values, GRADIENT)
    assert rates == pytest.approx(wanted, rel=1e-15)


@pytest.mark.clause("CO-5@d113b4")
def test_the_rate_in_force_comes_before_the_configured_one() -> None:
    """The configured rate counts where there is no other."""
    assert rate_of(made(learning_rate=0.5)) == 0.1
    assert rate_of(made(rate=None, learning_rate=0.5)) == 0.5


@pytest.mark.clause("CO-4@66f0a8")
def test_clipping_by_norms_of_one_and_of_all() -> None:
    """A gradient that is short enough stays as it is, and epsilon stands beside the norm."""
    norms = {path: float(np.linalg.norm(gradient)) for path, gradient in GRADIENT.items()}
    limit = (norms[W] + norms[B]) / 2  # the one is longer, the other shorter
    _, values = step(made(rate=1.0, clip_norm=limit, clip_epsilon=0.5), START, GRADIENT)
    for path, size in norms.items():
        np.testing.assert_allclose(
            values[path], START[path] - GRADIENT[path] * min(1, limit / (size + 0.5)), rtol=1e-14
        )
    whole = float(np.hypot(norms[W], norms[B]))
    _, values = step(made(rate=1.0, clip_global_norm=1.0), START, GRADIENT)
    np.testing.assert_allclose(values[W], START[W] - GRADIENT[W] / whole, rtol=1e-14)


@pytest.mark.clause("CO-8@1c498b")
def test_gradients_are_summed_and_their_mean_makes_the_step() -> None:
    """Between updates only the sum and the counter of gradients change."""
    optimizer, values = stepped(made(accumulation_steps=3), 2)
    assert (optimizer.step, optimizer.micro_step) == (0, 2)
    np.testing.assert_array_equal(values[W], START[W])
    np.testing.assert_allclose(optimizer.slots[W]["gradient_accumulator"].numpy(), 2 * GRADIENT[W])
    optimizer, values = stepped(optimizer, 1, values)
    assert (optimizer.step, optimizer.micro_step) == (1, 3)
    np.testing.assert_allclose(values[W], START[W] - 0.1 * GRADIENT[W], rtol=1e-14)
    assert not optimizer.slots[W]["gradient_accumulator"].numpy().any()


@pytest.mark.clause("CO-8@1c498b", "CV-8@76e0dd")
def test_a_constraint_does_not_wait_for_the_update() -> None:
    """Also while gradients are gathered it holds for what has one, and it leaves alone what has none."""
    bounds = dict.fromkeys((W, B), ObjectValue("core:constraints.non_neg", {}))
    optimizer, values = step(made(accumulation_steps=2), START, {W: GRADIENT[W]}, constraints=bounds)
    np.testing.assert_array_equal(values[W], np.maximum(START[W], 0))
    np.testing.assert_array_equal(values[B], START[B])
    _, values = step(optimizer, values, GRADIENT, constraints=bounds)
    np.testing.assert_allclose(values[W], np.maximum(np.maximum(START[W], 0) - 0.1 * GRADIENT[W], 0), rtol=1e-14)


@pytest.mark.clause("CO-9@ddc1a7", "CO-3@31087d")
def test_the_average_of_a_variable_without_a_gradient_moves() -> None:
    """A step makes and moves the averages of all variables."""
    optimizer, _ = step(made(ema_momentum=0.75), START, {W: GRADIENT[W]})
    assert optimizer.fresh == []
    np.testing.assert_array_equal(optimizer.slots[B]["average"].numpy(), START[B])
    later, _ = step(optimizer, {W: START[W], B: 3 * START[B]}, {W: GRADIENT[W]})
    np.testing.assert_allclose(later.slots[B]["average"].numpy(), 1.5 * START[B], rtol=1e-14)


@pytest.mark.clause("CO-4@66f0a8", "CO-6@dfd104")
@pytest.mark.parametrize("algorithm", ["sgd", "lamb", "adafactor"])
def test_what_is_not_a_number_stays_so(algorithm: str) -> None:
    """A norm that is not finite makes no gradient that is: nothing looks like a sound step."""
    gradients = {W: np.array([[np.nan, 1.0], [1.0, 1.0]]), B: GRADIENT[B]}
    h = {"clip_norm": 1.0} if algorithm == "sgd" else {}
    _, values = step(made(algorithm, **h), START, gradients)
    assert np.isnan(values[W]).all()
    assert np.isfinite(values[B]).all()


@pytest.mark.clause("CO-10@ec7de3")
def test_a_skipped_first_step_that_counts_leaves_nadam_its_beginning() -> None:
    """The product of its momenta begins at 1 with the first step that is taken."""
    inner = made("nadam")
    optimizer = Optimizer("core:loss_scale", {"count_skipped": True}, inner=inner, groups=[Group([W, B])])
    bad = {W: GRADIENT[W] * np.inf, B: GRADIENT[B]}
    optimizer, values = step(optimizer, START, bad)
    assert (optimizer.step, optimizer.inner.fresh if optimizer.inner else None) == (1, [W, B])
    optimizer, values = step(optimizer, values, {path: 16384 * gradient for path, gradient in GRADIENT.items()})
    assert optimizer.inner is not None
    assert 0 < float(optimizer.inner.shared_slots["u_product"].numpy()) < 1
    assert np.isfinite(values[W]).all()


@pytest.mark.clause("CO-6@dfd104")
def test_ftrl_takes_the_rate_0_that_a_schedule_may_end_at() -> None:
    """What is divided by it is not a number, as in any arithmetic of floats, and no error."""
    value = ObjectValue("core:schedules.constant", {"value": 0.0})
    optimizer = replace(made("ftrl", rate=None), schedule=value, schedule_clock="step")
    with np.errstate(divide="ignore", invalid="ignore"):
        _, values = step(optimizer, START, GRADIENT)
    assert values[W].shape == START[W].shape


@pytest.mark.clause("CO-1@8a87a9", "CO-4@66f0a8")
def test_a_group_may_clip_by_the_norm_of_all() -> None:
    """A limit of its own counts for its variables, and the norm is that of all gradients."""
    optimizer = made(rate=1.0)
    optimizer.groups = [Group([W]), Group([B], {"clip_global_norm": 1.0})]
    _, values = step(optimizer, START, GRADIENT)
    whole = float(np.sqrt(sum(np.sum(np.square(gradient)) for gradient in GRADIENT.values())))
    np.testing.assert_allclose(values[W], START[W] - GRADIENT[W], rtol=1e-14)
    np.testing.assert_allclose(values[B], START[B] - GRADIENT[B] / whole, rtol=1e-14)


@pytest.mark.clause("O-5@06fdad")
def test_the_rate_of_a_schedule_is_that_of_the_last_update() -> None:
    """A schedule leaves its rate behind at each update, and none in between."""
    optimizer = replace(made(rate=None, accumulation_steps=2), schedule=SCHEDULE, schedule_clock="micro_step")
    rates, values = [], START
    for _ in range(5):
        optimizer, values = step(optimizer, values, GRADIENT)
        rates.append(optimizer.learning_rate)
    assert rates == [None, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.clause("O-5@06fdad")
def test_the_rate_of_a_wrapper_is_that_of_what_it_wraps() -> None:
    """A step that is left out leaves it, and a rate that nobody set is not one."""
    inner = replace(made(rate=None), schedule=SCHEDULE, schedule_clock="step")
    optimizer = Optimizer("core:loss_scale", {}, inner=inner, groups=[Group([W, B])])
    optimizer, values = step(optimizer, START, GRADIENT)
    assert optimizer.learning_rate == 1.0
    optimizer, values = step(optimizer, values, GRADIENT)
    assert optimizer.learning_rate == 0.5
    optimizer, _ = step(optimizer, values, {W: GRADIENT[W] * np.inf, B: GRADIENT[B]})
    assert optimizer.learning_rate == 0.5
    plain = Optimizer("core:loss_scale", {}, inner=made(rate=None, learning_rate=0.5), groups=[Group([W, B])])
    assert step(replace(plain, learning_rate=0.5), START, GRADIENT)[0].learning_rate == 0.5


@pytest.mark.clause("CO-9@ddc1a7")
@pytest.mark.parametrize(("start", "wanted"), [("first_step", 1.0), ("initial", 0.25)])
def test_averages_begin_after_or_before_the_first_step(start: str, wanted: float) -> None:
    """The first step copies the variables, or is averaged with what they were before."""
    optimizer, values = stepped(made(ema_momentum=0.75, ema_start=start))
    share = wanted * values[W] + (1 - wanted) * START[W]
    np.testing.assert_allclose(optimizer.slots[W]["average"].numpy(), share, rtol=1e-14)


@pytest.mark.clause("CO-9@ddc1a7")
def test_averages_take_the_place_of_the_variables() -> None:
    """At each multiple of the frequency."""
    optimizer, values = stepped(made(ema_momentum=0.75, ema_overwrite_frequency=2))
    assert not np.array_equal(values[W], optimizer.slots[W]["average"].numpy() + 1)
    optimizer, values = stepped(optimizer, 1, values)
    np.testing.assert_array_equal(values[W], optimizer.slots[W]["average"].numpy())


@pytest.mark.clause("CO-3@31087d")
@pytest.mark.parametrize("fault", ["missing", "shape", "value", "shared"])
def test_slots_that_the_rule_does_not_have_are_refused(fault: str) -> None:
    """A slot that is missing and not fresh, of another shape, or of a variable without a value."""
    optimizer, values = stepped(made("nadam"))
    if fault == "missing":
        del optimizer.slots[W]["velocity"]
    elif fault == "shape":
        optimizer.slots[W]["velocity"] = Tensor.of(np.zeros(3))
    elif fault == "value":
        del values[W]
    else:
        optimizer.shared_slots.clear()
    with pytest.raises(InvalidError) as caught:
        step(optimizer, values, {B: GRADIENT[B]})
    assert caught.value.code == "core-slots"


@pytest.mark.clause("CO-7@82381c")
def test_a_slot_that_no_rule_names_is_kept() -> None:
    """tf_keras keeps a momentum where there is none."""
    optimizer = made()
    optimizer.fresh = []
    optimizer.slots = {path: {"momentum": Tensor.of(value)} for path, value in START.items()}
    later, values = step(optimizer, START, GRADIENT)
    np.testing.assert_array_equal(later.slots[W]["momentum"].numpy(), START[W])
    np.testing.assert_allclose(values[W], START[W] - 0.1 * GRADIENT[W], rtol=1e-14)


@pytest.mark.clause("CO-1@8a87a9")
@pytest.mark.parametrize(
    "optimizer",
    [
        Optimizer("keras:Adam", learning_rate=0.1),
        Optimizer("core:adamw", learning_rate=0.1),
        made("adam", rho=0.5),
        made("adam", epsilon_mode="inside"),
        made(rate=None),
        replace(made(), groups=[Group([W, B], {"speed": 1.0})]),
        Optimizer("core:loss_scale"),
        Optimizer("core:loss_scale", {"learning_rate": 0.1}),
    ],
)
def test_what_the_vocabulary_does_not_have_is_refused(optimizer: Optimizer) -> None:
    """Other algorithms, hyperparameters and modes, an optimizer without a rate, and a wrapper around nothing."""
    with pytest.raises(InvalidError) as caught:
        step(optimizer, START, GRADIENT)
    assert caught.value.code == "core-optimizer"


@pytest.mark.clause("CO-10@ec7de3")
def test_a_scale_has_a_least_value_and_may_count_what_it_skips() -> None:
    """As tf_keras does; a fixed scale never changes and skips nothing."""
    inner = made()
    optimizer = Optimizer(
        "core:loss_scale", {"initial_scale": 1.5, "minimum_scale": 1.0, "count_skipped": True}, inner=inner
    )
    bad = {path: np.full_like(value, np.nan) for path, value in START.items()}
    later, values = step(optimizer, START, bad)
    assert (loss_scale_of(later), later.step, later.micro_step) == (1.0, 1, 1)
    np.testing.assert_array_equal(values[W], START[W])
    fixed = Optimizer("core:loss_scale", {"initial_scale": 4.0, "dynamic": False}, inner=inner)
    later, values = step(fixed, START, GRADIENT)
    np.testing.assert_allclose(values[W], START[W] - 0.1 * GRADIENT[W] / 4, rtol=1e-14)
    assert (loss_scale_of(later), later.shared_slots) == (4.0, {})


@pytest.mark.clause("CO-3@31087d", "CO-6@dfd104")
def test_the_slots_of_every_rule_are_those_of_the_vocabulary() -> None:
    """Each rule makes the slots that the vocabulary lists, of the dtype of the variable, and changes no input."""
    seen = 0
    for name in RULES:
        for dtype in (np.float64, np.float32, ml_dtypes.bfloat16):
            flags = {"momentum": 0.5} if name in ("sgd", "rmsprop") else {}
            flags |= {"amsgrad": True} if name == "adam" else {"centered": True} if name == "rmsprop" else {}
            start = {path: value.astype(dtype) for path, value in START.items()}
            optimizer = made(name, accumulation_steps=1, ema_momentum=0.5, **flags)
            later, values = stepped(optimizer, 2, start)
            listed = set(document()["optimizers"][name]["slots"]) | {"average"}
            made_of = {slot for slots in later.slots.values() for slot in slots}
            assert made_of == listed, name
            kinds = {str(tensor.numpy().dtype) for slots in later.slots.values() for tensor in slots.values()}
            assert kinds == {str(np.dtype(dtype))} == {str(value.dtype) for value in values.values()}, name
            assert not optimizer.slots
            np.testing.assert_array_equal(start[W], START[W].astype(dtype))
            seen += 1
    assert seen == 3 * len(RULES) == 3 * (len(optimizers()) - 1)


@pytest.mark.library
def test_shapes_of_slots_follow_from_the_hyperparameters() -> None:
    """Adafactor's rows and columns, Muon's velocity, and the slots of accumulation and averages."""
    h = hyperparameters(made("adafactor", accumulation_steps=2))
    assert slot_shapes("adafactor", h, W, (2, 3, 4)) == {
        "v": (2, 3, 4),
        "r": (2, 3),
        "c": (2, 4),
        "gradient_accumulator": (2, 3, 4),
    }
    h = hyperparameters(made("muon", adam_variables=[W]))
    assert set(slot_shapes("muon", h, W, (2, 2))) == set(slot_shapes("muon", h, B, (2,))) == {"momentum", "velocity"}
    assert set(slot_shapes("muon", h, "other", (2, 2))) == {"momentum"}


@pytest.mark.clause("CO-6@dfd104")
@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    st.sampled_from(
        [
            ("adam", "epsilon_mode", "corrected"),
            ("rmsprop", "epsilon_mode", "outside"),
            ("adamax", "epsilon_mode", "in_max"),
        ]
    ),
    st.floats(0.0, 0.99),
    st.floats(1e-3, 1e3),
)
def test_without_epsilon_its_place_means_nothing(mode: tuple[str, str, str], beta: float, size: float) -> None:
    """The modes of epsilon agree for an epsilon of 0."""
    name, key, value = mode
    decay = {"rho": beta} if name == "rmsprop" else {"beta_2": beta}
    gradient = {path: one * size for path, one in GRADIENT.items()}
    results = []
    told: list[dict[str, Any]] = [{}, {key: value}]
    for h in told:
        optimizer, values = made(name, epsilon=0.0, **decay, **h), START
        for _ in range(3):
            optimizer, values = step(optimizer, values, gradient)
        results.append(values)
    np.testing.assert_allclose(results[0][W], results[1][W], rtol=1e-9)


@pytest.mark.clause("CO-6@dfd104")
@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.floats(0.01, 0.99), st.booleans(), st.integers(1, 6))
def test_a_buffer_is_a_velocity_at_a_constant_rate(momentum: float, nesterov: bool, count: int) -> None:
    """The two forms of momentum lead to the same variables, and their slots differ by the rate."""
    forms = [made(momentum=momentum, nesterov=nesterov, momentum_form=form) for form in ("velocity", "buffer")]
    (one, left), (two, right) = (stepped(form, count) for form in forms)
    np.testing.assert_allclose(left[W], right[W], rtol=1e-12)
    np.testing.assert_allclose(one.slots[W]["momentum"].numpy(), -0.1 * two.slots[W]["momentum"].numpy(), rtol=1e-12)
