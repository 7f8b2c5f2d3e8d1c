"""Which steps of a series are kept: a pure plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.checkpoints.retention import Best, Retention, ranked
from etui.errors import UsageError

pytestmark = pytest.mark.library


@dataclass(frozen=True)
class Step:
    """What a rule sees of a step."""

    number: int
    metrics: dict[str, float] = field(default_factory=dict)


def numbers(steps: list[Step]) -> list[int]:
    return [step.number for step in steps]


VALUES = st.one_of(st.floats(), st.integers(-3, 3).map(float), st.just(math.nan))
METRICS = st.dictionaries(st.sampled_from(["loss", "accuracy"]), VALUES)
STEPS = st.lists(st.builds(Step, st.integers(0, 60), METRICS), unique_by=lambda step: step.number, max_size=25)
BESTS = st.builds(
    Best, st.sampled_from(["loss", "accuracy", "absent"]), st.sampled_from(["min", "max"]), st.integers(1, 4)
)
RULES = st.builds(
    Retention,
    last=st.integers(1, 5),
    every=st.none() | st.integers(1, 20),
    best=st.none() | BESTS | st.lists(BESTS, max_size=3),
    keep=st.sampled_from([None, lambda step: step.number % 7 == 3]),
)


@given(STEPS, RULES)
def test_every_step_is_kept_or_dropped_and_the_latest_is_kept(steps: list[Step], rules: Retention) -> None:
    """A plan shares out the steps by number, and never drops the latest."""
    kept, dropped = rules.plan(steps)
    assert sorted(numbers(kept) + numbers(dropped)) == sorted(numbers(steps))
    assert numbers(kept) == sorted(numbers(kept))
    assert numbers(dropped) == sorted(numbers(dropped))
    assert (max(numbers(steps)) in numbers(kept)) if steps else kept == []


@given(STEPS, RULES)
def test_what_is_kept_is_the_union_of_the_rules(steps: list[Step], rules: Retention) -> None:
    """A step is kept if and only if one rule alone keeps it."""
    ordered = sorted(steps, key=lambda step: step.number)
    expected = set(numbers(ordered[-rules.last :]))
    expected |= {step.number for step in steps if rules.every is not None and step.number % rules.every == 0}
    for rule in rules.rules:
        able = [step for step in steps if not math.isnan(step.metrics.get(rule.metric, math.nan))]
        for step in able:
            value = step.metrics[rule.metric]
            better = [
                other
                for other in able
                if (other.metrics[rule.metric] < value if rule.mode == "min" else other.metrics[rule.metric] > value)
                or (other.metrics[rule.metric] == value and other.number < step.number)
            ]
            expected |= {step.number} if len(better) < rule.count else set()
    expected |= {step.number for step in steps if rules.keep is not None and rules.keep(step)}
    assert set(numbers(rules.plan(steps).kept)) == expected


@given(STEPS, st.sampled_from(["min", "max"]))
def test_what_is_no_number_is_never_best(steps: list[Step], mode: Any) -> None:
    """NaN is not ranked, and neither is a step without the metric; the order is that of the values."""
    found = ranked(steps, "loss", mode)
    values = [step.metrics["loss"] for step in found]
    assert not any(math.isnan(value) for value in values)
    assert values == sorted(values, reverse=mode == "max")
    assert len(found) == sum(not math.isnan(step.metrics.get("loss", math.nan)) for step in steps)


@given(STEPS, RULES)
def test_dropping_after_each_step_loses_no_more_than_dropping_at_the_end(steps: list[Step], rules: Retention) -> None:
    """A plan after every save keeps what one plan at the end keeps, and is settled: a second plan drops nothing."""
    held: list[Step] = []
    for step in sorted(steps, key=lambda step: step.number):
        held = rules.plan([*held, step]).kept
    assert numbers(held) == numbers(rules.plan(steps).kept)
    assert rules.plan(held).dropped == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("val_loss", Best("val_loss", "min", 1)),
        ("accuracy:max", Best("accuracy", "max", 1)),
        ("accuracy:max:3", Best("accuracy", "max", 3)),
        ("head:loss", Best("head:loss", "min", 1)),
        ("head:loss:min", Best("head:loss", "min", 1)),
        ("head:loss:3", Best("head:loss:3", "min", 1)),
        ("a:min:max:2", Best("a:min", "max", 2)),
    ],
)
def test_a_rule_is_read_from_a_text(text: str, expected: Best) -> None:
    """The metric's name may hold colons; mode and count follow it."""
    assert Best.parse(text) == expected
    assert Retention(best=text).plan([]) == ([], [])


def _with(**rules: Any) -> Retention:
    return Retention(**rules)


@pytest.mark.parametrize(
    "rules",
    [
        {"last": 0},
        {"last": -1},
        {"last": True},
        {"last": 1.5},
        {"every": 0},
        {"every": "10"},
        {"best": ("loss", "least")},
        {"best": ("loss", "min", 0)},
        {"best": ("loss", "min", 1, 1)},
        {"best": 5},
        {"best": [5]},
        {"best": ""},
        {"best": ":min"},
        {"best": ["accuracy", "max"]},
        {"best": [["accuracy", "max"]]},
        {"best": "min"},
        {"best": "loss:max:0"},
        {"keep": 5},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rules: dict[str, Any]) -> None:
    """Counts below 1, other modes and what is no rule are errors of the caller."""
    with pytest.raises(UsageError) as caught:
        _with(**rules)
    assert caught.value.code == "series-retention"


def test_the_forms_of_a_rule_by_metrics_are_equal() -> None:
    """A tuple, a `Best`, a text and a list of any of them plan the same."""
    steps = [Step(number, {"loss": abs(number - 5.0)}) for number in range(10)]
    forms: list[Any] = [("loss", "min", 2), Best("loss", "min", 2), "loss:min:2", [("loss", "min", 2)], ["loss:min:2"]]
    assert len(forms) == 5
    for form in forms:
        assert numbers(_with(last=1, best=form).plan(steps).kept) == [4, 5, 9]
