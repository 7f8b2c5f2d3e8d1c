"""Arrays over the devices of one process, and the ways to say how variables are spread."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import etui

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
values: Any = import_module("distributed_values")

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, run: Any) -> Path:
    """The folder of one process with four devices."""
    folder = tmp_path_factory.mktemp("alone")
    ended = run("saved,loads,series", folder, processes=1, devices=4)
    assert ended == [0], (folder / "log-0").read_text()[-3000:]
    return folder


@pytest.fixture
def loads(alone: Path, seen_by: Any) -> dict[str, Any]:
    """What it saw of loading."""
    found: dict[str, Any] = seen_by(alone, "loads", 0)
    return found


@pytest.mark.clause("DW-30@3ab3fd", "DW-34@c47bc1")
def test_four_devices_of_one_process_need_no_service(alone: Path, seen_by: Any) -> None:
    """One process saves the boxes of its devices one by one, and every mesh gets the same bits."""
    found = seen_by(alone, "saved", 0)
    assert found["lost"] == []
    for mesh in ("again", "mesh (1, 4)", "mesh (4, 1)"):
        assert set(found[mesh]) >= {*values.host_values(), "keys"}
        assert [name for name, same in found[mesh].items() if not same] == []
    assert set(found["slots"].values()) == {True}
    with etui.open(alone / "tree") as model:
        assert model.digest == found["identity"]
        assert model.weights is not None
        assert len(model.weights["layers/kernel"].tensor.pieces) == 4
    assert seen_by(alone, "series", 0)["same"] == [True, True]


@pytest.mark.clause("DW-34@c47bc1", "W-13@322181")
def test_uneven_chunks_of_others_are_read(loads: dict[str, Any]) -> None:
    """A variable in chunks of 5 and 3 rows comes to four devices with 2 rows each, and so do complex numbers."""
    assert loads["same"] == [True, True]
    assert loads["boxes"] == [[2, 3]] * 4
    assert loads["words"] == ["a", "b"]


@pytest.mark.library
def test_the_account_has_what_jax_cannot_take(loads: dict[str, Any]) -> None:
    """Random keys of JAX come typed and spread; those of others, and 64 bits where JAX has 32, are in the report."""
    assert loads["key"] == ["key<rbg>", "P('rows',)", [8]]
    assert loads["entries"]["rng/key"] == ["restored", "jax:rbg"]
    assert loads["entries"]["rng/other"][0] == "left-out"
    assert loads["entries"]["long"] == ["cast", "int64 to int32: jax_enable_x64 is off"]


@pytest.mark.library
def test_a_function_may_give_the_specs(loads: dict[str, Any]) -> None:
    """A function of path and shape says how each variable is spread, and nothing means that each device has it."""
    assert loads["function"] == ["P('rows',)", "P()"]


@pytest.mark.library
def test_structures_with_shardings_are_filled(loads: dict[str, Any]) -> None:
    """A `ShapeDtypeStruct` is enough of a leaf, one of keys too; a mesh goes before; what is not stored stays."""
    assert loads["like"] == [True, "P('rows',)", "key<rbg>"]
    assert loads["like key"] is True
    assert loads["stays"] is True
    assert loads["placed"] == [True, 4, True]
    assert loads["numbers"] == ["int32", 7]


CODES = {
    "axis": "jax-sharding",
    "rank": "jax-sharding",
    "divides": "jax-sharding",
    "like divides": "jax-sharding",
    "mesh": "jax-argument",
    "no mesh": "jax-argument",
    "no spec": "jax-argument",
    "nothing": "jax-argument",
    "strict": "not-complete",
    "model": "jax-argument",
    "number": "jax-argument",
    "timeout": "jax-argument",
}


@pytest.mark.library
@pytest.mark.parametrize("case", CODES)
def test_what_cannot_be_meant_is_refused(loads: dict[str, Any], case: str) -> None:
    """A spec that the mesh or the shape does not have, and arguments that make no sense, are refused with a code."""
    assert loads["codes"][case][0] == CODES[case]


@pytest.mark.library
def test_a_model_is_saved_as_it_is(loads: dict[str, Any]) -> None:
    """A model in place of a tree keeps its chunks, and is as it was afterwards."""
    assert loads["model"] is loads["unchanged"] is True
    assert loads["copied"] == [3, ["layer/uneven", "layer/waves", "long", "words"]]
