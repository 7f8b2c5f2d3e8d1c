"""Weights whose variables are made when they are asked for behave as those that hold all of them."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.containers.tensors import Tensor
from etui.containers.variable import Variable
from etui.containers.weights import Weights
from etui.errors import EtuiError, RejectError
from etui.shortage import shortage
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Parts, parts_of
from etui.verification import verify

COUNT = 400


def stored(count: int = COUNT) -> Parts:
    """Enough plain variables to be read by columns."""
    weights = Weights()
    for index in range(count):
        weights.add(f"layer{index:05d}/kernel", Tensor.of(np.full(2, index, np.float32)), role="kernel")
    return parts_of(etui.Model(weights=weights))


STORED = stored()


def opened() -> Weights:
    """The weights, no variable of which is made yet."""
    weights = etui.open(STORED).weights
    assert weights is not None
    assert weights.all_plain
    return weights


@pytest.mark.library
def test_new_variables_take_the_place_of_those_of_the_file() -> None:
    """What is assigned before the first access is what is read and saved afterwards."""
    model = etui.open(STORED)
    assert model.weights is not None
    model.weights.variables = {"one": Variable(Tensor.of(np.ones(3, np.float32)), "kernel")}
    assert (list(model.weights), model.weights["one"].shape) == (["one"], (3,))
    again = etui.open(parts_of(model)).weights
    assert again is not None
    assert list(again) == ["one"]


@pytest.mark.library
@pytest.mark.parametrize("key", [3, None, ("a",)])
def test_what_is_no_path_is_in_no_weights(key: Any) -> None:
    """Asking for a key that is no text gives what a dict gives."""
    assert opened().get(key) is None
    assert key not in opened()
    with pytest.raises(KeyError):
        opened()[key]


@pytest.mark.library
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda weights: pickle.loads(pickle.dumps(weights))])
def test_copies_hold_all_variables(way: Callable[[Weights], Weights]) -> None:
    """Copies and pickles have every variable with its elements."""
    found = way(opened())
    assert len(found) == COUNT
    assert found["layer00003/kernel"].numpy().tolist() == [3, 3]


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.library
@pytest.mark.usefixtures("often")
def test_threads_see_the_same_variables() -> None:
    """Threads that ask for the variables at once get one dict, in which an edit of any of them stays."""
    for _ in range(30):
        weights = opened()
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(weights.variables)) for _ in range(3)]  # noqa: B023
        threads.append(
            threading.Thread(target=lambda: weights.add("new", Tensor.of(np.ones(1)), role="kernel"))  # noqa: B023
        )
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(variables) for variables in found}) == 1
        assert len(found) == 3
        assert "new" in weights


@pytest.mark.clause("X-4@c431d3")
@pytest.mark.parametrize("fault", [MemoryError("none left"), RuntimeError("can't start new thread")])
def test_a_digest_that_cannot_be_computed_is_no_damage(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the thread that hashes a document lacks memory, or there is none, the artifact is not called damaged."""
    parts = stored(9000)
    assert len(parts["weights.json"]) > 2**20
    sound = digest.of

    def failing(data: bytes | memoryview, *rest: str) -> str:
        if threading.current_thread() is not threading.main_thread():
            raise fault
        return sound(data, *rest)

    def refusing(self: threading.Thread) -> None:
        raise fault

    if isinstance(fault, MemoryError):
        monkeypatch.setattr(digest, "of", failing)
    else:
        monkeypatch.setattr(threading.Thread, "start", refusing)
    with pytest.raises(EtuiError) as caught:
        etui.open(parts)
    assert caught.value.code == "out-of-memory"


@pytest.mark.library
def test_lack_of_memory_gives_up_what_was_held() -> None:
    """The error for a lack of memory does not keep alive what filled it."""
    import weakref

    class Large:
        pass

    held: list[weakref.ref[Large]] = []

    @shortage()
    def work() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise MemoryError

    with pytest.raises(EtuiError, match="out-of-memory"):
        work()
    assert held[0]() is None


@pytest.mark.clause("H-7@2b485b")
@pytest.mark.parametrize("size", [1, 500_000])
def test_the_first_fault_is_told_whatever_the_sizes(size: int) -> None:
    """A fault of what a tensor's bytes mean comes before a changed byte of the next one, whatever their sizes."""
    from etui.canonical import json

    weights = Weights()
    weights.add("a", Tensor.of(np.array(["xx"] * size + ["é"], object)), role="text")
    weights.add("b", Tensor.of(np.arange(4, dtype=np.float32)), role="kernel")
    parts = dict(parts_of(etui.Model(weights=weights)))
    data = bytearray(parts["weights.safetensors"])
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.decode(bytes(data[8:begin]).rstrip(), where="header")
    first, last = (begin + offset for offset in header["a#data"]["data_offsets"])
    data[last - 2 : last] = b"\xff\xff"
    data[begin + header["b"]["data_offsets"][0]] ^= 1
    parts["weights.safetensors"] = bytes(data)
    index = json.decode(parts["weights.json"], where="index")
    index["variables"]["a"]["components"]["data"]["chunks"][0]["digest"] = digest.of(bytes(data[first:last]))
    parts["weights.json"] = json.encode(index)
    manifest = json.decode(parts[MANIFEST], where="manifest")
    manifest["parts"]["weights.json"] |= {
        "digest": digest.of(parts["weights.json"]),
        "size": len(parts["weights.json"]),
    }
    parts[MANIFEST] = json.encode(manifest)
    with pytest.raises(RejectError) as caught:
        verify(parts)
    assert (caught.value.code, "a#data" in caught.value.where) == ("encoding-content", True)


@pytest.mark.clause("S-4@f11050")
@pytest.mark.parametrize("others", [1, 900])
def test_no_tensor_has_the_name_of_metadata(others: int) -> None:
    """A variable of the name that safetensors keeps for metadata is not written, among few tensors or many."""
    weights = Weights()
    for index in range(others):
        weights.add(f"v{index}", Tensor.of(np.ones(2, np.float32)), role="kernel")
    weights.add("__metadata__", Tensor.of(np.ones(2, np.float32)), role="kernel")
    with pytest.raises(EtuiError) as caught:
        parts_of(etui.Model(weights=weights))
    assert caught.value.code == "safetensors-header"
