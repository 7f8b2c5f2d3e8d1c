"""One process of a program on several: it saves, loads, fails or dies as its scenario says.

    python program.py SCENARIO FOLDER RANK PROCESSES PORT

writes what it saw to `FOLDER/SCENARIO-RANK.json`. Without PROCESSES beyond 1 it does not start JAX's service.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import numpy as np

if __name__ == "__main__" and int(sys.argv[4]) > 1:
    jax.distributed.initialize(f"127.0.0.1:{sys.argv[5]}", int(sys.argv[4]), int(sys.argv[3]))

import optax
from jax.sharding import NamedSharding, PartitionSpec

import etui
from etui.bridges.jax.processes import Processes
from etui.containers.data_parts import DataParts

values: Any = import_module("distributed_values")


def mesh_of(*shape: int) -> jax.sharding.Mesh:
    """The devices of all processes as rows and columns."""
    return jax.sharding.Mesh(np.array(jax.devices()).reshape(shape), ("rows", "columns"))


def spread(array: Any, mesh: jax.sharding.Mesh, *axes: Any) -> jax.Array:
    """An array of the host on the devices of a mesh; each process places what its own have."""
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.make_array_from_callback(array.shape, sharding, lambda box: array[box], dtype=array.dtype)


def keys_of(mesh: jax.sharding.Mesh) -> jax.Array:
    """Typed random keys, one on each device."""
    words = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(3), 4)))
    return jax.random.wrap_key_data(spread(words, mesh, ("rows", "columns"), None))


def tree_of() -> dict[str, Any]:
    """The tree that is saved."""
    mesh, host = mesh_of(2, 2), values.host_values()
    tree = {name: spread(host[name], mesh, *axes) for name, axes in values.SPECS.items()}
    tree["on_host"] = host["on_host"]
    tree["on_one_device"] = jax.device_put(host["on_one_device"], jax.local_devices()[0])
    half = jax.sharding.Mesh(np.array(jax.devices()[2:]), ("rows",))
    tree["on_second_half"] = spread(host["on_second_half"], half, "rows")
    tree["keys"], tree["key"] = keys_of(mesh), jax.random.key(11)
    return {"layers": tree, "count": 3}


def trained() -> tuple[dict[str, jax.Array], Any, Any]:
    """Parameters with the state of Adam after a step."""
    host, mesh = values.host_values(), mesh_of(2, 2)
    params = {name: spread(host[name], mesh, *values.SPECS[name]) for name in ("kernel", "whole")}
    tx = optax.adam(1e-3, eps=1e-8)
    gradients = jax.tree.map(lambda one: one * 2, params)
    _, state = jax.jit(tx.update)(gradients, tx.init(params), params)
    return params, tx, state


ADAM = {"learning_rate": 1e-3, "epsilon": 1e-8, "epsilon_mode": "corrected"}


def plain(leaf: Any) -> Any:
    """A leaf without a dtype of its own for keys."""
    is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def same(found: Any, host: Any) -> bool:
    """Whether every box that this process has is bit for bit that of an array on the host."""
    found, host = plain(found), np.asarray(host)
    if not isinstance(found, jax.Array):
        return bool(np.asarray(found).tobytes() == host.tobytes())
    boxes = [(shard.index, np.asarray(shard.data)) for shard in found.addressable_shards]
    equal = all(data.tobytes() == host[index].tobytes() for index, data in boxes)
    return bool(found.dtype == host.dtype) and equal


def code_of(call: Any, *args: Any, **options: Any) -> list[str]:
    """Code and message of the error that a call raises."""
    try:
        call(*args, **options)
    except etui.EtuiError as fault:
        return [fault.code, str(fault)]
    return ["none", ""]


def saved(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """Everything that works, by all processes together."""
    report = etui.Report()
    tree, target = tree_of(), folder / "tree"
    seen["identity"] = etui.jax.save_distributed(tree, target, user={"note": "x"}, counters={"epoch": 2}, report=report)
    seen["lost"] = [str(entry) for entry in report.lost]
    seen["parts"] = sorted(path.name for path in target.iterdir())

    host = values.host_values()
    again, _ = etui.jax.load_distributed(target, like=tree)
    seen["again"] = {name: same(found, plain(tree["layers"][name]) if "key" in name else host[name])
                     for name, found in again["layers"].items() if name != "keys"}  # fmt: skip
    words = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(3), 4)))
    seen["again"]["keys"] = same(again["layers"]["keys"], words)
    seen["shardings"] = {
        name: again["layers"][name].sharding == tree["layers"][name].sharding for name in (*values.SPECS, "keys")
    }
    for shape in ((1, 4), (4, 1)):
        mesh = mesh_of(*shape)
        specs = {"layers": {"kernel": PartitionSpec("rows", "columns"), "half": PartitionSpec("rows"),
                            "keys": PartitionSpec("columns")}}  # fmt: skip
        found, _ = etui.jax.load_distributed(target, mesh=mesh, specs=specs)
        layers = found["layers"]
        equal = {name: same(layers[name], host[name]) for name in host}
        equal["keys"] = same(layers["keys"], words)
        seen[f"mesh {shape}"] = equal
        seen[f"spec {shape}"] = [str(layers[name].sharding.spec) for name in ("kernel", "half", "keys", "whole")]

    params, tx, state = trained()
    description = etui.jax.describe("adam", ADAM)
    target = folder / "trained"
    other = etui.jax.save_distributed({"params": params}, target, opt_state=state, optimizer=description,
                                      optimized="params")  # fmt: skip
    seen["trained"] = other
    mesh = mesh_of(4, 1)
    wanted = {name: spread(host[name], mesh, "rows" if name == "kernel" else None) for name in params}
    fresh = tx.init(wanted)
    loaded = etui.jax.load_opt_state(target, wanted, fresh, optimized="params")
    moved = loaded[0].mu["kernel"]
    seen["moved"] = str(moved.sharding.spec)
    gradients = {name: (host[name] * 2) for name in params}
    _, expected = tx.update(gradients, tx.init({name: host[name] for name in params}))
    seen["slots"] = {
        f"{slot} {name}": same(getattr(loaded[0], slot)[name], getattr(expected[0], slot)[name])
        for slot in ("mu", "nu") for name in params
    }  # fmt: skip
    seen["steps"] = int(np.asarray(loaded[0].count))


def reads(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """Which chunks each process touches."""
    touched: list[str] = []
    fetch = DataParts.fetch

    def counted(self: Any, chunk: Any, *args: Any, **options: Any) -> Any:
        touched.append(chunk.tensor)
        return fetch(self, chunk, *args, **options)

    DataParts.fetch = counted  # type: ignore[method-assign]
    mesh = mesh_of(4, 1)
    specs = {"layers": {"kernel": PartitionSpec("rows"), "waves": PartitionSpec("rows")}}
    etui.jax.load_distributed(folder / "tree", mesh=mesh, specs=specs)
    DataParts.fetch = fetch  # type: ignore[method-assign]
    seen["touched"] = sorted({name for name in touched if "kernel" in name or "waves" in name})


def loads(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """Ways to say how variables are spread, and what cannot be."""
    load, mesh, spec = etui.jax.load_distributed, mesh_of(4, 1), PartitionSpec
    uneven = np.arange(24, dtype=np.float32).reshape(8, 3)
    waves = (uneven[:, :1] + 1j).astype(np.complex64)
    weights = etui.Weights()
    chunks = [((0, 0), uneven[:5, :2]), ((0, 2), uneven[:5, 2:]), ((5, 0), uneven[5:])]
    weights.add("layer/uneven", etui.Tensor.chunked("float32", (8, 3), chunks), role="data")
    weights.add("layer/waves", etui.Tensor.of(waves), role="data")
    weights.add("long", etui.Tensor.of(np.arange(4, dtype=np.int64)), role="data")
    weights.add("words", etui.Tensor.of(["a", "b"], dtype="string"), role="data")
    state = etui.State()
    state.rng = {"key": etui.Rng("jax:rbg", etui.Tensor.of(np.arange(32, dtype=np.uint32).reshape(8, 4))),
                 "other": etui.Rng("keras:SeedGenerator", etui.Tensor.of(np.arange(2, dtype=np.uint32)))}  # fmt: skip
    etui.save(etui.Model(weights=weights, state=state), folder / "loads.etui")

    path, report = folder / "loads.etui", etui.Report()
    found, _ = load(path, mesh=mesh, specs={"layer": spec("rows"), "key": spec("rows")}, strict=False, report=report)
    seen["same"] = [same(found["layer"]["uneven"], uneven), same(found["layer"]["waves"], waves)]
    seen["words"] = list(found["words"])
    seen["boxes"] = [list(shard.data.shape) for shard in found["layer"]["uneven"].addressable_shards]
    seen["key"] = [str(found["key"].dtype), str(found["key"].sharding.spec), list(found["key"].shape)]
    entries = {entry.subject: [entry.status, entry.detail] for entry in report.entries}
    seen["entries"] = {name: entries[name] for name in ("long", "rng/key", "rng/other")}

    def rows(name: str, shape: tuple[int, ...]) -> PartitionSpec | None:
        return spec("rows") if name.startswith("layer/") and shape == (8, 3) else None

    found, _ = load(path, mesh=mesh, specs=rows, strict=False)
    seen["function"] = [str(found["layer"][name].sharding.spec) for name in ("uneven", "waves")]

    sharding = NamedSharding(mesh, spec("rows"))
    keys = jax.ShapeDtypeStruct((8,), jax.random.key(0, impl="rbg").dtype, sharding=sharding)
    like = {"a": jax.ShapeDtypeStruct((8, 3), np.float16, sharding=sharding), "key": keys, "none": np.zeros(2)}
    report = etui.Report()
    found, _ = load(path, like, {"a": "layer/uneven"}, cast=True, strict=False, report=report)
    seen["like"] = [same(found["a"], uneven.astype(np.float16)), str(found["a"].sharding.spec), str(found["key"].dtype)]
    seen["like key"] = same(found["key"], np.arange(32, dtype=np.uint32).reshape(8, 4))
    seen["stays"] = found["none"] is like["none"]
    found, _ = load(path, {"a": np.zeros((8, 3), np.float32), "none": like["none"]}, {"a": "layer/uneven"}, mesh=mesh,
                    specs={"a": spec(None, None)}, strict=False)  # fmt: skip
    seen["placed"] = [same(found["a"], uneven), len(found["a"].sharding.device_set), found["none"] is like["none"]]
    weights.add("number", etui.Tensor.of(np.array(7)), role="data")
    numbers = {"long": np.zeros(4, np.int64), "number": 0}
    found, _ = load(etui.Model(weights=weights), numbers, mesh=mesh, cast=True, strict=False)
    seen["numbers"] = [str(found["long"].dtype), found["number"]]
    seen["codes"] = {
        "axis": code_of(load, path, mesh=mesh, specs=spec("depth"), strict=False),
        "rank": code_of(load, path, mesh=mesh, specs={"long": spec(None, "rows")}, strict=False),
        "divides": code_of(load, path, mesh=mesh, specs={"layer": {"uneven": spec(None, "rows")}}, strict=False),
        "like divides": code_of(load, path, {"layer": {"uneven": np.zeros((8, 3), np.float32)}}, mesh=mesh,
                                specs=spec(None, "rows"), strict=False),
        "mesh": code_of(load, path, specs=spec("rows"), strict=False),
        "no mesh": code_of(load, path, mesh=jax.devices(), strict=False),
        "no spec": code_of(load, path, mesh=mesh, specs={"long": "rows"}, strict=False),
        "nothing": code_of(load, path, mesh=mesh, specs={"lang": spec()}, strict=False),
        "strict": code_of(load, path, {"long": np.zeros(4, np.int64)}, mesh=mesh),
        "model": code_of(etui.jax.save_distributed, etui.Model(), folder / "x", step=3),
        "number": code_of(etui.jax.save_distributed, {"a": uneven}, folder / "x", number=3),
        "timeout": code_of(etui.jax.save_distributed, {"a": uneven}, folder / "x", timeout=0),
    }  # fmt: skip
    with etui.open(path) as model:
        seen["model"] = etui.jax.save_distributed(model, folder / "copy") != ""
        assert model.weights is not None
        seen["unchanged"] = bool((model.weights["layer/uneven"].numpy() == uneven).all())
    with etui.open(folder / "copy") as copy:
        assert copy.weights is not None
        seen["copied"] = [len(copy.weights["layer/uneven"].tensor.pieces), sorted(copy.weights.variables)]


def refused(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """What the processes do not agree on, or one of them cannot do: nobody saves."""
    save, host, target = etui.jax.save_distributed, values.host_values(), folder / "refused"
    kernel = spread(host["kernel"], mesh_of(2, 2), "rows", "columns")
    seen["first"] = save({"kernel": kernel, "count": 0}, target, timeout=100)

    def broken(part: str, done: int, total: int) -> None:
        raise RuntimeError("the disk of this process is gone")

    seen["number"] = code_of(save, {"kernel": kernel, "count": rank}, target, timeout=100)
    seen["array"] = code_of(save, {"kernel": kernel, "own": np.arange(3) + rank}, target, timeout=100)
    seen["user"] = code_of(save, {"kernel": kernel}, target, user={"host": rank}, timeout=100)
    more = {"more": kernel} if rank == 0 else {}
    seen["leaf"] = code_of(save, {"kernel": kernel, **more}, target, timeout=100)
    bad = {"kernel": kernel, "bad": object() if rank == 1 else np.zeros(1)}
    seen["bad"] = code_of(save, bad, target, timeout=100)
    bad = {"kernel": kernel, "bad": object() if rank == 0 else np.zeros(1)}
    seen["bad first"] = code_of(save, bad, target, timeout=100)
    try:
        seen["broken"] = code_of(save, {"kernel": kernel}, target, timeout=100, progress=broken if rank == 1 else None)
    except RuntimeError as fault:
        seen["broken"] = ["raised", str(fault)]
    (folder / "other").mkdir(exist_ok=True)
    (folder / "other" / "file").write_text("mine")
    seen["target"] = code_of(save, {"kernel": kernel}, folder / "other", timeout=100)
    seen["plain"] = code_of(etui.jax.save_tree, {"kernel": kernel}, folder / f"plain-{rank}")
    seen["url"] = code_of(save, {"kernel": kernel}, "memory://folder", timeout=100)
    seen["last"] = save({"kernel": kernel, "count": 1}, target, timeout=100)
    # The other never comes.
    if rank == 0:
        seen["absent"] = code_of(save, {"kernel": kernel}, target, timeout=1)
    else:
        time.sleep(2.5)


def series(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """Steps of one series, saved by all: what does not change is stored once."""
    steps = etui.checkpoints.Series(folder / "series")
    mesh, save = mesh_of(2, 2), etui.jax.save_distributed
    frozen = np.arange(2**20, dtype=np.float32).reshape(1024, 1024)
    kernel = values.host_values()["kernel"]
    for number in (100, 200):
        tree = {"frozen": spread(frozen, mesh, "rows"), "kernel": spread(kernel + number, mesh, "rows", "columns")}
        seen[str(number)] = save(tree, steps, number=number, metrics={"loss": 1 / number})
    seen["exists"] = code_of(save, tree, steps, number=200, timeout=100)
    seen["replaced"] = save(tree, steps, number=200, replace=True)
    seen["nameless"] = code_of(save, tree, steps, timeout=100)
    latest = steps.latest()
    assert latest is not None
    found, _ = etui.jax.load_distributed(latest, mesh=mesh_of(1, 4), specs=PartitionSpec("columns"))
    seen["same"] = [same(found["frozen"], frozen), same(found["kernel"], kernel + 200)]
    seen["metrics"] = dict(steps[100].metrics)


def killed(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """A process ends in the middle of a save over an earlier one."""
    victim, moment = int(os.environ["VICTIM"]), os.environ["MOMENT"]
    host, target = values.host_values(), folder / f"killed-{moment}-{victim}"
    kernel = spread(np.tile(host["kernel"], (64, 64)), mesh_of(2, 2), "rows", "columns")
    numbers: list[dict[str, Any]] = [{}, {}]
    if moment == "series":
        target, numbers = etui.checkpoints.Series(target), [{"number": 1}, {"number": 2}]  # type: ignore[assignment]
    etui.jax.save_distributed({"kernel": kernel}, target, **numbers[0])
    (folder / f"ready-{moment}-{victim}-{rank}").touch()

    def die(*_: object, **__: object) -> None:
        if rank == victim:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "planned":
        import_module("etui.bridges.jax.distributed").__dict__["write_rank"] = die
    progress = die if moment in ("writing", "series") else None
    if moment == "told":
        tell = Processes.tell

        def told(self: Processes, name: str, tree: Any) -> None:
            tell(self, name, tree)
            die()

        Processes.tell = told  # type: ignore[method-assign]
    kernel = kernel + 1
    save = etui.jax.save_distributed
    seen["after"] = code_of(
        save, {"kernel": kernel}, target, timeout=30 if moment == "told" else 2, progress=progress, **numbers[1]
    )


SCENARIOS = {one.__name__: one for one in (saved, reads, loads, refused, series, killed)}

if __name__ == "__main__":
    scenarios, folder, rank = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    for scenario in scenarios.split(","):
        seen: dict[str, Any] = {}
        SCENARIOS[scenario](folder, rank, seen)
        (folder / f"{scenario}-{rank}.json").write_text(json.dumps(seen))
    # Process 0 has JAX's service, without which the others are ended; and JAX would wait for those that died.
    last = scenarios.rpartition(",")[2]
    victim = int(os.environ.get("VICTIM", "-1"))
    awaited = [folder / f"{last}-{other}.json" for other in range(1, int(sys.argv[4])) if other != victim]
    until = time.monotonic() + 30
    while rank == 0 and time.monotonic() < until and not all(path.exists() for path in awaited):
        time.sleep(0.05)
    sys.stdout.flush()
    os._exit(0)
