"""Snapshots: what is copied, what is not, and that nothing done afterwards shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue
from etui.checkpoints.snapshot import Snapshots
from etui.containers.pieces import Array, Held, Lazy
from etui.containers.weights import Weights
from etui.errors import IntegrityError, StorageError, UsageError
from etui.testing import samples
from etui.testing.equality import same


def model_of(**arrays: Any) -> etui.Model:
    """A model of variables, each an array, or a tensor."""
    weights = Weights()
    for name, array in arrays.items():
        tensor = array if isinstance(array, etui.Tensor) else etui.Tensor.of(array)
        weights.add(name, tensor, role="kernel")
    return etui.Model(weights=weights)


def live(array: Array, look: Callable[[], Array] | None = None, *, constant: bool = False) -> etui.Tensor:
    """A tensor of an array that training changes, as a bridge makes one."""
    dtype, shape = array.dtype.name, array.shape
    return etui.Tensor.lazy(dtype, shape, array.copy, view=look or (lambda: array), constant=constant)


def values(model: etui.Model, name: str) -> Array:
    assert model.weights is not None
    return model.weights[name].numpy()


def address(model: etui.Model, name: str) -> int:
    return values(model, name).ctypes.data


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_a_snapshot_saves_as_the_model_does(tmp_path: Path) -> None:
    """A snapshot of a model with everything that an artifact can hold has the identity of the model."""
    model = samples.everything()
    expected = etui.save(model, tmp_path / "model.etui")
    taken = Snapshots().take(model)
    assert all(same(getattr(taken, name), getattr(model, name)) for name in ("config", "training", "state", "metadata"))
    assert etui.save(taken, tmp_path / "taken.etui") == expected
    assert (tmp_path / "taken.etui").read_bytes() == (tmp_path / "model.etui").read_bytes()


@pytest.mark.clause("AS-1@b18083")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_snapshot_of_an_open_artifact_outlives_its_file(tmp_path: Path, form: str) -> None:
    """A model from a file is not copied; it may be closed and changed, and its file replaced, before the save."""
    expected = etui.save(samples.everything(), tmp_path / "model", form=form)
    snapshots = Snapshots()
    with etui.open(tmp_path / "model") as model:
        taken = snapshots.take(model)
        assert model.weights is not None
        next(iter(model.weights.variables.values())).trainable = False
        model.metadata["later"] = 1
    assert snapshots.nbytes == 0
    etui.save(model_of(other=np.ones(3, np.float32)), tmp_path / "model", form=form)
    assert etui.save(taken, tmp_path / "taken.etui") == expected


@pytest.mark.clause("AS-1@b18083")
def test_damage_of_an_open_artifact_gets_no_digest_of_its_own(tmp_path: Path) -> None:
    """A tensor of a file that was changed is found when its snapshot is saved, though it was opened without checks."""
    etui.save(model_of(x=np.ones(1000, np.float32)), tmp_path / "model", form="directory")
    part = tmp_path / "model" / "weights.safetensors"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    with etui.open(tmp_path / "model", verify=False) as model:
        taken = Snapshots().take(model)
    assert taken.weights is not None
    tensor = taken.weights["x"].tensor
    assert tensor.numpy()[0] == 1
    calls: list[Callable[[], object]] = [
        lambda: tensor.numpy(verify=True),
        lambda: etui.save(taken, tmp_path / "other.etui"),
    ]
    for call in calls:
        with pytest.raises(IntegrityError) as caught:
            call()
        assert caught.value.code == "digest-mismatch"
    assert not (tmp_path / "other.etui").exists()


@pytest.mark.clause("AS-1@b18083")
def test_nothing_that_is_done_to_a_model_afterwards_shows() -> None:
    """Arrays, documents, values in them, and the model itself are changed in place, and the snapshot stays."""
    array, inner = np.arange(12, dtype=np.float32), np.ones(3)
    model = model_of(held=array, live=live(array))
    model.state = etui.State(counters={"epoch": 1}, user={"list": [1, {"deep": (2, [3])}], "array": inner})
    model.optimizer = etui.OptimizerState({"optimizer": etui.Optimizer("core:sgd", {"learning_rate": 0.1})})
    model.training = etui.Training(loss=ObjectValue("core:losses.mse", {"a": [1]}))
    model.metadata = {"note": ["first"]}
    taken = Snapshots().take(model)
    assert (taken.state, model.weights) != (None, None)

    array[:] = -1
    inner[:] = -1
    model.state.counters["epoch"] = 2
    model.state.user["list"][1]["deep"][1].append(4)
    model.optimizer.optimizers["optimizer"].hyperparameters["learning_rate"] = 0.2
    model.training.loss.config["a"].append(2)
    model.metadata["note"].append("second")
    del model.weights.variables["held"]  # type: ignore[union-attr]

    expected = np.arange(12, dtype=np.float32)
    assert np.array_equal(values(taken, "held"), expected)
    assert np.array_equal(values(taken, "live"), expected)
    assert taken.state is not None
    assert taken.state.counters == {"epoch": 1}
    assert taken.state.user["list"] == [1, {"deep": (2, [3])}]
    assert np.array_equal(taken.state.user["array"], np.ones(3))
    assert taken.optimizer is not None
    assert taken.optimizer.optimizers["optimizer"].hyperparameters == {"learning_rate": 0.1}
    assert taken.training is not None
    assert taken.training.loss.config == {"a": [1]}
    assert taken.metadata == {"note": ["first"]}


def _strided(base: Array) -> dict[str, Array]:
    return {
        "plain": base,
        "transposed": base.T,
        "permuted": base.reshape(2, 3, 4).transpose(1, 2, 0),
        "backwards": base[::-1],
        "every_other": base[:, ::2],
        "one_element": base[:1, :1],
        "broadcast": np.broadcast_to(base[0], (3, 4)),
        "empty": base[:0],
        "scalar": base[0, 0:1].reshape(()),
    }


@pytest.mark.clause("AS-1@b18083")
@pytest.mark.parametrize("dtype", ["float32", "bool", "int64", "bfloat16", "float8_e4m3fn", ">f8"])
@pytest.mark.parametrize("case", list(_strided(np.zeros((6, 4)))))
def test_a_tensor_may_lie_in_memory_in_any_order(dtype: str, case: str, tmp_path: Path) -> None:
    """Arrays with any strides, byte order and dtype are copied as they lie, and saved in C order."""
    kinds = {"bfloat16": ml_dtypes.bfloat16, "float8_e4m3fn": ml_dtypes.float8_e4m3fn}
    base = (np.arange(24) % 2 if dtype == "bool" else np.arange(24)).reshape(6, 4).astype(kinds.get(dtype, dtype))
    array = _strided(base)[case]
    tensor = etui.Tensor.lazy(array.dtype.name, array.shape, array.copy, view=lambda: array)
    model = model_of(x=tensor)
    expected = etui.save(model_of(x=array.copy()), tmp_path / "copy.etui")
    taken = Snapshots().take(model)
    if base.flags.writeable:
        base[:] = base[::-1].copy()
    assert etui.save(taken, tmp_path / "taken.etui") == expected


@pytest.mark.clause("AS-1@b18083")
def test_encoded_and_chunked_tensors_are_copied_piece_by_piece(tmp_path: Path) -> None:
    """Complex numbers, texts, packed and quantized integers, and tensors of several boxes."""
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 2), np.float32)
    scale = etui.Tensor.of(np.full((1, 1), 0.5, np.float32))
    numbers = np.arange(4, dtype=np.int8).reshape(2, 2)
    arrays: dict[str, Any] = {
        "complex": np.arange(3) + 1j,
        "text": np.array(["a", "bc"], object),
        "nibbles": np.arange(-4, 4).astype(ml_dtypes.int4),
        "quantized": etui.Tensor.quantized(etui.Tensor.of(numbers), scale, dtype="float32"),
        "chunked": etui.Tensor.chunked("float32", (2, 5), [((0, 0), left), ((0, 3), live(right))]),
    }
    model = model_of(**arrays)
    expected = etui.save(model, tmp_path / "model.etui")
    taken = Snapshots().take(model)
    for array in (left, right, numbers):
        array[:] = 0
    assert etui.save(taken, tmp_path / "taken.etui") == expected
    assert etui.save(model, tmp_path / "model.etui") != expected


@pytest.mark.library
def test_memory_is_used_again_from_snapshot_to_snapshot() -> None:
    """A later snapshot of the same sizes or of smaller ones lies in the same memory, and a larger one in new memory."""
    arrays: dict[str, Any] = {"a": np.ones(1000, np.float32), "b": np.ones((300, 1000), np.float64)}
    snapshots = Snapshots()
    first = {name: address(snapshots.take(model_of(**arrays)), name) for name in arrays}
    size = snapshots.nbytes
    assert size >= sum(array.nbytes for array in arrays.values())
    assert {name: address(snapshots.take(model_of(**arrays)), name) for name in arrays} == first
    assert address(snapshots.take(model_of(a=arrays["a"])), "a") == first["a"]
    assert snapshots.nbytes == size
    snapshots.take(model_of(**arrays, c=np.ones(10**6)))
    assert snapshots.nbytes > size
    snapshots.release()
    assert snapshots.nbytes == 0


@pytest.mark.library
def test_what_never_changes_is_not_copied() -> None:
    """Arrays of bytes, and what a framework says to be constant, stay where they are and take no memory."""
    constant, fixed = np.arange(5.0), np.frombuffer(bytes(40))
    model = model_of(constant=live(constant, constant=True), fixed=fixed)
    snapshots = Snapshots()
    taken = snapshots.take(model)
    assert snapshots.nbytes == 0
    assert address(taken, "constant") == constant.ctypes.data
    assert address(taken, "fixed") == fixed.ctypes.data
    # An array that is only said to be read-only may be changed by whoever made it.
    mutable = bytearray(40)
    view = np.frombuffer(memoryview(mutable).toreadonly())
    taken = snapshots.take(model_of(view=view))
    mutable[0] = 1
    assert not values(taken, "view").any()


@pytest.mark.library
def test_tied_tensors_are_copied_once() -> None:
    """Tensors of one memory, and one tensor at several places, have one copy."""
    array = np.ones((1000, 1000), np.float32)
    shared = live(array)
    model = model_of(a=live(array), b=live(array), c=live(array.T), d=shared, e=shared, f=live(array[:500]))
    snapshots = Snapshots()
    taken = snapshots.take(model)
    places = {name: address(taken, name) for name in "abdef"}
    assert places["a"] == places["b"] == places["d"] == places["e"]
    assert places["f"] != places["a"]
    assert taken.weights is not None
    assert taken.weights["d"].tensor is taken.weights["e"].tensor
    array[:] = 2
    assert values(taken, "a").all()
    assert {float(values(taken, name).max()) for name in "abcdef"} == {1.0}


@pytest.mark.library
def test_a_live_tensor_is_looked_at_once_and_read_without_a_view() -> None:
    """A snapshot asks for the view where there is one, else for the elements, once each, and later nothing more."""
    asked: list[str] = []

    def tensor(name: str, *, view: bool) -> etui.Tensor:
        def give(what: str) -> Array:
            asked.append(f"{what} {name}")
            return np.full(3, len(asked), np.int64)

        look = (lambda: give("view")) if view else None
        return etui.Tensor.lazy("int64", (3,), lambda: give("load"), view=look)

    taken = Snapshots().take(model_of(a=tensor("a", view=True), b=tensor("b", view=False)))
    assert asked == ["view a", "load b"]
    assert [values(taken, name).tolist() for name in "ab"] == [[1, 1, 1], [2, 2, 2]]
    assert asked == ["view a", "load b"]


@pytest.mark.library
def test_a_view_of_another_dtype_or_shape_is_refused() -> None:
    """What a view gives is checked against what was promised of the tensor."""
    for array in (np.ones(3, np.float64), np.ones((3, 1), np.float32)):
        tensor = etui.Tensor.lazy("float32", (3,), lambda: np.ones(3, np.float32), view=lambda array=array: array)  # type: ignore[misc]
        with pytest.raises(UsageError, match="promised") as caught:
            Snapshots().take(model_of(x=tensor))
        assert caught.value.code == "tensor-promise"


@pytest.mark.library
def test_memory_that_is_not_to_be_had_is_said_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot without memory fails with its code, the model is as it was, and a later one succeeds."""
    snapshots, model = Snapshots(), model_of(x=np.ones(10))

    def none(*_: object) -> Array:
        raise MemoryError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr("etui.checkpoints.snapshot.np.empty", none)
        with pytest.raises(StorageError) as caught:
            snapshots.take(model)
    assert caught.value.code == "out-of-memory"
    assert values(snapshots.take(model), "x").all()


@pytest.mark.library
def test_a_snapshot_holds_copies_and_what_is_put_in_order_later() -> None:
    """A transposed array is copied as it lies, in one pass, and put into C order when it is written."""
    array = np.arange(6.0).reshape(2, 3)
    taken = Snapshots().take(model_of(plain=live(array), turned=live(array.T)))
    assert taken.weights is not None
    plain, turned = (taken.weights[name].tensor.pieces[0].source for name in ("plain", "turned"))
    assert isinstance(plain, Held)
    assert isinstance(turned, Lazy)
    assert turned.fixed
    assert np.array_equal(turned.array(), array.T)
