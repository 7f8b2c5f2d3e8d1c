"""Loading accounts for everything, and changes all or nothing."""

# mypy: disable-error-code="misc, union-attr, arg-type, index, method-assign"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import etui
from etui.bridges.keras.live import capture as live_capture
from etui.bridges.keras.live import framework as live_framework

from .base import (
    KERAS3,
    Refused,
    X,
    array,
    assert_same_future,
    compiled,
    counts,
    dense_model,
    everywhere,
    iterations,
    k,
    once,
    optimizer_values,
    step,
    values,
)


def named(*names: str, units: int = 3, dtype: str | None = None) -> Any:
    """Dense layers of those names, one after the other."""
    outputs = inputs = k.Input((4,))
    for name in names:
        outputs = k.layers.Dense(units, name=name, dtype=dtype)(outputs)
    return k.Model(inputs, outputs)


@once
def every_status(place: Path) -> None:
    etui.keras.save(named("same", "gone"), place / "a.etui", include="weights")
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, name="same")(inputs)
    hidden = k.layers.Dense(3, name="extra")(hidden)
    model = k.Model(inputs, hidden)
    before = values(model)
    report = etui.Report()
    with Refused("not-complete") as refused:
        etui.keras.load_weights(model, place / "a.etui", report=report)
    assert values(model) == before
    found = {(entry.subject, entry.status) for entry in report.entries}
    assert {
        ("same/kernel", "restored"),
        ("same/bias", "restored"),
        ("extra/kernel", "missing"),
        ("extra/bias", "missing"),
        ("gone/kernel", "unexpected"),
        ("gone/bias", "unexpected"),
    } == found
    assert 'rename={"gone/": "extra/"}' in refused.text
    # Leniently, what fits is loaded, and the report still says what did not.
    report = etui.keras.load_weights(model, place / "a.etui", strict=False)
    assert not report.ok
    assert values(model)[2:] == before[2:]
    assert values(model)[:2] != before[:2]


@once
def shapes_and_dtypes(place: Path) -> None:
    etui.keras.save(named("one", units=3), place / "three.etui", include="weights")
    other = named("one", units=5)
    before = values(other)
    report = etui.Report()
    with Refused("not-complete") as refused:
        etui.keras.load_weights(other, place / "three.etui", report=report)
    assert counts(report) == {"shape-mismatch": 2}
    assert "[4, 3] in the file, [4, 5] in the model" in refused.text
    assert values(other) == before
    double = named("one", units=3, dtype="float64")
    report = etui.keras.load_weights(double, place / "three.etui")
    assert counts(report) == {"cast": 2}
    with etui.open(place / "three.etui") as stored:
        kernel = stored.weights["one/kernel"].numpy()
    assert array(double.get_layer("one").kernel).tolist() == kernel.astype("float64").tolist()


@once
def no_variable_at_all(place: Path) -> None:
    etui.keras.save(named("one", "two"), place / "a.etui", include="weights")
    for strict in (True, False):
        model = named("three", "four")
        before = values(model)
        with Refused("live-nothing"):
            etui.keras.load_weights(model, place / "a.etui", strict=strict)
        assert values(model) == before


@once
def wrong_level_of_nesting(place: Path) -> None:
    def backbone() -> Any:
        inputs = k.Input((4,))
        hidden = k.layers.Dense(3, name="stem")(inputs)
        return k.Model(inputs, k.layers.Dense(3, name="neck")(hidden), name="backbone")

    inner = backbone()
    inputs = k.Input((4,))
    whole = k.Model(inputs, k.layers.Dense(2, name="head")(inner(inputs)))
    etui.keras.save(backbone(), place / "backbone.etui", include="weights")
    etui.keras.save(whole, place / "whole.etui", include="weights")
    before = values(whole)
    with Refused("live-nothing") as refused:
        etui.keras.load_weights(whole, place / "backbone.etui", strict=False)
    assert 'rename={"": "backbone/"}' in refused.text
    assert values(whole) == before
    report = etui.keras.load_weights(whole, place / "backbone.etui", rename={"": "backbone/"}, layers=["backbone"])
    assert counts(report) == {"restored": 4, "left-out": 2}
    with etui.open(place / "backbone.etui") as stored:
        assert [array(w).tobytes() for w in inner.weights] == [w.numpy().tobytes() for w in stored.weights.values()]
    # The other way round: the backbone of a whole model into a bare one.
    bare = backbone()
    with Refused("live-nothing") as refused:
        etui.keras.load_weights(bare, place / "whole.etui")
    assert 'rename={"backbone/": ""}' in refused.text
    report = etui.keras.load_weights(bare, place / "whole.etui", rename={"backbone/": ""}, skip_mismatch=["head"])
    assert counts(report) == {"restored": 4}
    assert values(bare) == before[:4]


@once
def renames(place: Path) -> None:
    one, two = named("old_a", "old_b"), named("new_a", "new_b")
    etui.keras.save(one, place / "a.etui", include="weights")
    report = etui.keras.load_weights(two, place / "a.etui", rename={"old_a/": "new_a/", "old_b/": "new_b/"})
    assert counts(report) == {"restored": 4}
    assert {entry.detail for entry in report.entries} == {
        f"from old_{layer}/{role}" for layer in "ab" for role in ("kernel", "bias")
    }
    assert values(one) == values(two)
    with Refused("live-rename"):
        etui.keras.load_weights(two, place / "a.etui", rename={"old_c/": "new_a/"})
    with Refused("live-rename"):
        etui.keras.load_weights(two, place / "a.etui", rename={"old_a/": "new/", "old_b/": "new/"})


@once
def unknown_layers(place: Path) -> None:
    etui.keras.save(named("one", "two"), place / "a.etui", include="weights")
    model = named("one", "two")
    for options in ({"layers": ["three"]}, {"skip_mismatch": ["three"]}):
        with Refused("live-layers") as refused:
            etui.keras.load_weights(model, place / "a.etui", **options)
        assert "one, two" in refused.text
    report = etui.keras.load_weights(model, place / "a.etui", layers="two")
    assert counts(report) == {"restored": 2, "left-out": 2}


@once
def mismatches_only_by_name(place: Path) -> None:
    etui.keras.save(named("one", "two"), place / "a.etui", include="weights")
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, name="one")(inputs)
    model = k.Model(inputs, k.layers.Dense(7, name="two")(k.layers.Dense(3, name="three")(hidden)))
    before = values(model)
    for names in ([], ["two"], ["three"]):
        with Refused("not-complete"):
            etui.keras.load_weights(model, place / "a.etui", skip_mismatch=names)
        assert values(model) == before
    report = etui.keras.load_weights(model, place / "a.etui", skip_mismatch=["two", "three"])
    assert counts(report) == {"restored": 2, "left-out": 4}
    assert values(model)[2:] == before[2:]


@once
def order_if_it_is_the_same(place: Path) -> None:
    one, two = named("a", "b"), named("c", "d")
    etui.keras.save(one, place / "a.etui")
    report = etui.keras.load_weights(two, place / "a.etui", match="order")
    assert {entry.detail for entry in report.entries if entry.kind == "variable"} == {
        f"from {layer}/{role}" for layer in "ab" for role in ("kernel", "bias")
    }
    assert values(one) == values(two)
    inputs = k.Input((4,))
    embedded = k.Model(inputs, k.layers.BatchNormalization(name="x")(k.layers.Dense(3, name="y")(inputs)))
    for other in (named("c", "d", "e"), named("c", "d", units=5), embedded):
        before = values(other)
        with Refused("live-order"):
            etui.keras.load_weights(other, place / "a.etui", match="order")
        assert values(other) == before


@once
def shared_variables(place: Path) -> None:
    class Tied(k.layers.Layer):
        """Multiplies by the transposed kernel of another layer."""

        def __init__(self, other: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.kernel = other.kernel

        def call(self, x: Any) -> Any:
            return k.ops.matmul(x, k.ops.transpose(self.kernel)) if KERAS3 else x @ self.kernel.numpy().T

    class Auto(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encode = k.layers.Dense(3, use_bias=False, name="encode")
            self.encode.build((None, 4))
            self.decode = Tied(self.encode, name="decode")

        def call(self, x: Any) -> Any:
            return self.decode(self.encode(x))

    one, two = Auto(), Auto()
    one(X), two(X)
    etui.keras.save(one, place / "a.etui", include="weights")
    with etui.open(place / "a.etui") as stored:
        assert len(stored.weights) == 1
        assert len(stored.weights.aliases) == 1
    report = etui.keras.load_weights(two, place / "a.etui")
    assert counts(report) == {"restored": 1, "aliased": 1}
    assert values(one) == values(two)


@once
def damage_changes_nothing(place: Path) -> None:
    model = compiled(named("one", "two"))
    step(model, X, np.ones((8, 3), "float32"))
    etui.keras.save(model, place / "a.etui", shard_size=1)
    with etui.open(place / "a.etui") as stored:
        last = list(stored.weights.values())[-1].numpy().tobytes()
    data = (place / "a.etui").read_bytes()
    assert data.count(last) == 1
    at = data.index(last)
    (place / "bad.etui").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    other = named("one", "two")
    before = values(other)
    with Refused("digest-mismatch"):
        etui.keras.load_weights(other, place / "bad.etui")
    assert values(other) == before


@everywhere
def optimizer_into_a_live_model(place: Path) -> None:
    one, two = compiled(dense_model()), compiled(dense_model())
    step(one, steps=4)
    etui.keras.save(one, place / "a.etui")
    etui.keras.load_weights(two, place / "a.etui", optimizer=True, state=True)
    assert iterations(two) == 4
    assert_same_future(one, two)
    # Not compiled, or compiled with another kind, nothing is changed.
    for other in (dense_model(), compiled(dense_model(), k.optimizers.SGD(0.1))):
        before = values(other)
        with Refused("live-optimizer"):
            etui.keras.load_weights(other, place / "a.etui", optimizer=True)
        assert values(other) == before
    kept = compiled(dense_model())
    step(kept)
    state = optimizer_values(kept)
    etui.keras.load_weights(kept, place / "a.etui")
    assert optimizer_values(kept) == state


@once
def optimizer_of_renamed_layers(place: Path) -> None:
    one, two = compiled(named("a", "b")), compiled(named("c", "d"))
    y = np.ones((8, 3), "float32")
    step(one, y=y, steps=3)
    etui.keras.save(one, place / "a.etui", include="checkpoint")
    etui.keras.load_weights(two, place / "a.etui", rename={"a/": "c/", "b/": "d/"}, optimizer=True)
    assert_same_future(one, two, y=y)


@once
def nothing_is_copied_before_it_is_written(place: Path) -> None:
    model = compiled(dense_model(units=64))
    step(model)
    framework = live_framework.require_framework(model)
    sizes: list[int] = []
    usual = type(framework).raw

    def counted(self: Any, variable: Any) -> Any:
        found = usual(self, variable)
        sizes.append(np.asarray(found).size)
        return found

    type(framework).raw = counted
    try:
        captured = live_capture.capture(framework, model)
        assert max(sizes, default=0) <= 1
        tensors = [tensor for _, _, tensor in captured.model.stored_tensors()]
        assert sum(tensor.shape == (4, 64) for tensor in tensors) == 3
        kernel = captured.model.weights["hidden/kernel"]
        assert kernel.numpy().tobytes() == array(model.get_layer("hidden").kernel).tobytes()
        assert max(sizes) == 256
    finally:
        type(framework).raw = usual


@once
def not_a_model(place: Path) -> None:
    class Odd:
        """Neither a neutral nor a live model."""

    with Refused("live-model"):
        etui.save(Odd(), place / "a.etui")
    with Refused("live-model"):
        etui.keras.save(Odd(), place / "a.etui")
    with Refused("live-include"):
        etui.keras.save(dense_model(), place / "a.etui", include="half")
    assert not (place / "a.etui").exists()
    etui.keras.save(dense_model(), place / "a.etui")
    with Refused("live-model"):
        etui.keras.load(place / "a.etui", framework="kerosene")


@once
def not_built_yet(place: Path) -> None:
    model = k.Sequential([k.layers.Dense(2)])
    with Refused("live-unbuilt"):
        etui.keras.save(model, place / "a.etui")
    etui.keras.save(model, place / "config.etui", include="config")
    assert not etui.keras.load(place / "config.etui").built
    etui.keras.save(dense_model(), place / "b.etui", include="weights")
    with Refused("live-unbuilt"):
        etui.keras.load_weights(model, place / "b.etui")


@once
def one_model_one_file(place: Path) -> None:
    model = compiled(dense_model())
    step(model)
    first = etui.keras.save(model, place / "a.etui")
    assert etui.keras.save(model, place / "b.etui") == first
    assert (place / "a.etui").read_bytes() == (place / "b.etui").read_bytes()
    loaded = etui.keras.load(place / "a.etui")
    assert etui.keras.save(loaded, place / "c.etui") == first
    folder = etui.keras.save(model, f"{place / 'folder'}/")
    assert folder == first
