"""Comparing two models."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from math import inf
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import etui
from etui.differences import Change
from etui.tensor_differences import compare
from etui.testing.samples import VOCABULARY, everything

pytestmark = pytest.mark.library

T = etui.Tensor.of


def changed(edit: Callable[[etui.Model], object]) -> list[Change]:
    """The changes from a model with everything to one that was edited."""
    other = everything()
    edit(other)
    found = etui.diff(everything(), other)
    assert found.counts() == {area: sum(c.area == area for c in found.changes) for area in found.counts()}
    return found.changes


def summary(changes: list[Change]) -> list[tuple[str, str, str, str, str, str]]:
    return [(c.area, c.subject, c.kind, c.field, c.a, c.b) for c in changes]


def test_a_model_has_the_content_of_its_artifacts(tmp_path: Path) -> None:
    """A model, both forms of its artifact, and its shards have the same content, NaN included."""
    identity = etui.save(everything(), tmp_path / "e.etui")
    etui.save(everything(), tmp_path / "e", form="directory")
    etui.save(everything(), tmp_path / "shards.etui", shard_size=100)
    found = etui.diff(tmp_path / "e.etui", tmp_path / "e")
    assert (found.same, found.identical, found.identities) == (True, True, (identity, identity))
    assert found.changes == []
    assert found.tensors == 12 + 2 + 3 + 3
    assert etui.diff(everything(), tmp_path / "e").changes == []
    shards = etui.diff(tmp_path / "e.etui", tmp_path / "shards.etui")
    assert (shards.same, shards.identical) == (True, False)
    assert {change.area for change in shards.changes} == {"layout"}


def edit_attribute(model: etui.Model) -> None:
    assert model.config is not None
    model.config.find("dense").attrs["units"] = 5


def edit_type(model: etui.Model) -> None:
    assert model.config is not None
    model.config.find("dense").attrs["scale"] = 1


def add_module(model: etui.Model) -> None:
    assert model.config is not None
    model.config.model.modules.append(etui.Module("extra", op="keras:ReLU"))


def edit_training(model: etui.Model) -> None:
    assert model.training is not None
    model.training.loss = "mse"
    model.training.metrics = ["mae"]


def edit_step(model: etui.Model) -> None:
    assert model.optimizer is not None
    assert model.optimizer.optimizers["optimizer"].inner is not None
    model.optimizer.optimizers["optimizer"].inner.step = 121


def no_slots(model: etui.Model) -> None:
    assert model.optimizer is not None
    adam = model.optimizer.optimizers["optimizer"].inner
    assert adam is not None
    adam.slots["dense/kernel"].pop("velocity")


def edit_state(model: etui.Model) -> None:
    assert model.state is not None
    model.state.counters["epoch"] = 4
    model.state.user["best"] = 0.5


def flags(model: etui.Model) -> None:
    assert model.weights is not None
    model.weights["dense/bias"].trainable = True
    model.weights["dense/bias"].role = "offset"


def alias(model: etui.Model) -> None:
    assert model.weights is not None
    model.weights.aliases = {"other/kernel": "dense/kernel"}


HUBER = '{"$object": {"class": "keras:losses.Huber", "config": {"delta": {"$float": "1"}}}}'
METRICS = '["mae", {"$object": {"class": "custom:tests>Metric", "config": {}}}]'


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (edit_attribute, [("config", "dense", "changed", "attrs/units", "4", "5")]),
        (edit_type, [("config", "dense", "changed", "attrs/scale", "1.0", "1")]),
        (
            edit_training,
            [
                ("training", "loss", "changed", "", HUBER, '"mse"'),
                ("training", "metrics", "changed", "", METRICS, '["mae"]'),
            ],
        ),
        (edit_step, [("optimizer", "optimizer", "changed", "inner/step", "120", "121")]),
        (
            edit_state,
            [
                ("state", "counters", "changed", "epoch", "3", "4"),
                ("state", "user", "changed", "best", "-inf", "0.5"),
            ],
        ),
        (
            flags,
            [
                ("weights", "dense/bias", "changed", "role", '"bias"', '"offset"'),
                ("weights", "dense/bias", "changed", "trainable", "false", "true"),
            ],
        ),
        (
            alias,
            [
                ("weights", "tied/kernel", "removed", "", '{"alias": "dense/kernel"}', ""),
                ("weights", "other/kernel", "added", "", "", '{"alias": "dense/kernel"}'),
            ],
        ),
        (lambda model: model.metadata.update(author=None), [("metadata", "author", "changed", "", '"a test"', "null")]),
        (lambda model: model.assets.clear(), [("assets", VOCABULARY, "removed", "", "12 bytes", "")]),
        (lambda model: setattr(model, "state", None), [("state", "all of state", "removed", "", '"there"', "")]),
    ],
    ids=["attribute", "type", "training", "step", "state", "flags", "alias", "metadata", "asset", "document"],
)
def test_a_change_is_told_by_its_place(
    edit: Callable[[etui.Model], object], expected: list[tuple[str, str, str, str, str, str]]
) -> None:
    """One edit of a model gives the changes that it made and no others, with both values."""
    assert [change for change in summary(changed(edit)) if change[0] != "native"] == expected


def test_an_added_module_is_told() -> None:
    """A new module is one change, and its parent's list of modules another."""
    changes = [change for change in changed(add_module) if change.area == "config"]
    assert [(change.subject, change.kind, change.field) for change in changes] == [
        ("", "changed", "modules"),
        ("extra", "added", ""),
    ]


def test_a_lost_slot_is_one_change() -> None:
    """A slot that is gone is told once, by the name of its tensor."""
    name = "optimizer/inner/slots/dense/kernel/velocity"
    (change,) = changed(no_slots)
    assert (change.area, change.subject, change.kind) == ("optimizer", name, "removed")


def test_variables_in_another_order_are_one_change() -> None:
    """Moving the first variable to the end is told once, not as a new number for each."""

    def move(model: etui.Model) -> None:
        assert model.weights is not None
        path, variable = next(iter(model.weights.variables.items()))
        del model.weights.variables[path]
        model.weights.variables[path] = variable

    (change,) = changed(move)
    assert (change.area, change.subject) == ("weights", "order of the variables")


@pytest.mark.clause("N-4@fc390c")
def test_native_documents_do_not_count() -> None:
    """Another native document is told, and the content stays the same."""
    other = everything()
    other.native.clear()
    found = etui.diff(everything(), other)
    assert found.same
    assert {change.area for change in found.changes} == {"native"}


def test_the_numbers_of_shared_objects_are_only_names() -> None:
    """Other numbers for the same sharing are no change; another sharing is."""

    def model(*numbers: int) -> etui.Model:
        attrs = {name: etui.ObjectValue("keras:Zeros", {}, number) for name, number in zip("abc", numbers, strict=True)}
        return etui.Model(config=etui.Config(etui.Module("m", op="keras:Layer", attrs=attrs)))

    assert etui.diff(model(7, 3, 7), model(1, 2, 1)).changes == []
    (change,) = etui.diff(model(7, 3, 7), model(1, 2, 2)).changes
    assert (change.field, change.a, change.b) == ("attrs/c/$object/shared", "0", "1")


def test_quantized_tensors_are_compared_by_their_components() -> None:
    """Half the integers at twice the scale are equal elements and still a change."""

    def rescale(model: etui.Model) -> None:
        assert model.weights is not None
        values, scale = T(np.zeros((4, 2), np.int8)), T(np.full((1, 2), 0.5, np.float32))
        model.weights["own/quantized"].tensor = etui.Tensor.quantized(values, scale, dtype="float32")

    (change,) = changed(rescale)
    assert (change.subject, change.values and change.values.differing) == ("own/quantized#values", 7)


def value_changes(a: np.ndarray, b: np.ndarray) -> tuple[int, int, float | None, float | None] | None:
    found = compare(T(a).numpy(), T(b).numpy())
    if found is None:
        return None
    return found.elements, found.differing, found.max_absolute, found.max_relative


NAN, OTHER_NAN, SIGNALLING_NAN = np.array([0x7FC00000, 0x7FC00001, 0x7F800001], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.5, 3.0], (3, 1, 0.5, 0.2)),
        ([NAN, 1.0], [NAN, 1.0], None),
        ([NAN, 1.0], [OTHER_NAN, 1.0], (2, 1, 0.0, 0.0)),
        ([NAN], [1.0], (1, 1, inf, inf)),
        ([0.0], [-0.0], (1, 1, 0.0, 0.0)),
        ([np.inf, 1.0], [np.inf, 1.0], None),
        ([np.inf], [-np.inf], (1, 1, inf, inf)),
        ([SIGNALLING_NAN], [np.inf], (1, 1, inf, inf)),
        ([0.0], [1e-45], (1, 1, float(np.float32(1e-45)), 1.0)),
    ],
)
def test_floats_are_compared_bit_for_bit_and_measured(
    a: list[float], b: list[float], expected: tuple[int, int, float, float] | None
) -> None:
    """Elements differ if their bits do; distances are those of the numbers, and NaN is at no distance from NaN."""
    assert value_changes(np.array(a, np.float32), np.array(b, np.float32)) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (np.array([1, 2], np.int64), np.array([1, 3], np.int64), (2, 1, None, None)),
        (np.array([True]), np.array([False]), (1, 1, None, None)),
        (np.array([1, -1], ml_dtypes.int4), np.array([1, 7], ml_dtypes.int4), (2, 1, None, None)),
        (np.array(["a", "b"], object), np.array(["a", "c"], object), (2, 1, None, None)),
        (np.array([3 + 4j]), np.array([0j]), (1, 1, 5.0, 1.0)),
        (np.array([1 + 1j], np.complex64), np.array([1 + 1j], np.complex64), None),
        (np.array([1.5], ml_dtypes.bfloat16), np.array([1.0], ml_dtypes.bfloat16), (1, 1, 0.5, 1 / 3)),
        (np.array([1.5, 0.1]), np.array([1.5, 0.1], np.float32), (2, 1, 0.1 - float(np.float32(0.1)), None)),
        (np.zeros((0, 3)), np.zeros((0, 3)), None),
    ],
)
def test_every_kind_of_elements_is_compared(
    a: np.ndarray, b: np.ndarray, expected: tuple[int, int, float | None, float | None] | None
) -> None:
    """Elements of every dtype are compared, and floats of two dtypes as numbers."""
    found = value_changes(a, b)
    if expected is None or found is None:
        assert found == expected
    else:
        assert found[:2] == expected[:2]
        assert (found[2] is None) == (expected[2] is None)
        if found[2] is not None and expected[2] is not None:
            assert found[2] == abs(expected[2])
        if expected[3] is not None:
            assert found[3] == pytest.approx(expected[3], rel=1e-15)


@given(arrays.arrays(np.float32, arrays.array_shapes(min_side=0), elements=st.floats(width=32)))
def test_an_array_is_equal_to_its_copy_and_to_nothing_with_another_bit(array: np.ndarray) -> None:
    """A copy of any floats is equal; with one bit flipped in one element, exactly one element differs."""
    assert compare(array, array.copy()) is None
    if array.size:
        other = array.copy()
        other.reshape(-1).view(np.uint32)[array.size // 2] ^= 1
        found = compare(array, other)
        assert found is not None
        assert found.differing == 1


def test_tensors_of_other_shapes_are_not_compared() -> None:
    """A change of the shape is told, and no elements are counted."""

    def reshape(model: etui.Model) -> None:
        assert model.weights is not None
        model.weights["own/mask"].tensor = T(np.array([[True, False, True]]))

    (change,) = changed(reshape)
    assert (change.subject, change.field, change.values) == ("own/mask", "shape", None)


def test_a_refusal_says_which_side_it_is_of(tmp_path: Path) -> None:
    """A tensor whose bytes were changed is refused with the name of its artifact."""
    for name in ("a", "b"):
        etui.save(everything(), tmp_path / name, form="directory")
    data = tmp_path / "b/weights.safetensors"
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    with pytest.raises(etui.IntegrityError) as caught:
        etui.diff(tmp_path / "a", tmp_path / "b")
    assert caught.value.__notes__ == [f"in {tmp_path / 'b'}"]


def test_changes_read_as_sentences() -> None:
    """Each kind of change has one line for people."""
    lines = [str(change) for change in changed(edit_attribute) + changed(alias)]
    assert "dense attrs/units: 4 -> 5" in lines
    assert 'other/kernel: added, {"alias": "dense/kernel"}' in lines
    assert "2 of 3 elements differ" in str(compare(np.array([1, 2, 3]), np.array([0, 0, 3])))
    assert "by at most 0.5 (relative 0.5)" in str(compare(np.array([1.0]), np.array([0.5])))


def test_long_values_are_cut() -> None:
    """A value of a megabyte is shown with at most 120 characters."""

    def enlarge(model: etui.Model) -> None:
        assert model.config is not None
        model.config.find("dense").attrs["units"] = ["word"] * 200_000

    (change,) = [change for change in changed(enlarge) if change.area == "config"]
    assert len(change.b) == 120
    assert change.b.endswith("…")


def test_comparing_large_tensors_takes_little_memory(tmp_path: Path) -> None:
    """Two mapped tensors of 64 MiB are compared with less than 48 MiB."""
    for name, last in (("a", 0), ("b", 1)):
        weights = etui.Weights()
        array = np.zeros(16 * 2**20, np.float32)
        array[-1] = last
        weights.add("large", T(array), role="kernel")
        etui.save(etui.Model(weights=weights), tmp_path / name, form="directory")
        del weights, array
    tracemalloc.start()
    found = etui.diff(tmp_path / "a", tmp_path / "b")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [change.values and change.values.differing for change in found.changes] == [1]
    assert peak < 48 * 2**20


def test_progress_rises_to_the_number_of_bytes() -> None:
    """The callback is told a number of bytes that never falls and ends at the total."""
    calls: list[tuple[int, int]] = []
    etui.diff(everything(), everything(), progress=lambda _, done, total: calls.append((done, total)))
    assert len(calls) == 20
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]
