"""JAX on many devices: a series of checkpoints in the place of Orbax' CheckpointManager.

python jax_manager.py FOLDER [--steps N] [--processes ADDRESS COUNT NUMBER]

One process or several run the same script. Each writes the boxes of the arrays that its devices have, and reads those
that they need: under another mesh, too.

    CheckpointManager(folder, options=…)     Series(folder, keep=Retention(…))
    manager.save(step, args=…)               etui.jax.save_distributed(state, series, number=step, …)
    manager.latest_step(), best_step()       series.latest(), series.best("loss")
    manager.all_steps()                      series.steps()
    manager.restore(step, args=…)            etui.jax.load_distributed(step, like=state), load_opt_state(step, …)
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import etui
from etui.checkpoints import Retention, Series

EVERY = 10
RATE = 0.01
# What optax's state does not say of itself, in the words of the core vocabulary.
ADAM = etui.jax.describe("adam", {"learning_rate": RATE, "epsilon": 1e-8, "epsilon_mode": "corrected"})
tx = optax.adam(RATE)

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--processes", nargs=3, metavar=("ADDRESS", "COUNT", "NUMBER"))
options = parser.parse_args()
if options.processes:
    address, count, number = options.processes
    jax.distributed.initialize(address, int(count), int(number))

mesh = Mesh(np.array(jax.devices()), ("devices",))
SPECS = {"w1": PartitionSpec(None, "devices"), "b1": PartitionSpec("devices"), "w2": PartitionSpec("devices")}


def everywhere(array: Any, spec: Any = PartitionSpec()) -> Any:  # noqa: B008  it never changes
    """An array of which each device has what the spec says, made of one that each process has."""
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, NamedSharding(mesh, spec), lambda box: host[box], dtype=host.dtype)


def loss_of(params: Any, x: Any, y: Any) -> Any:
    """The loss of a batch."""
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    return jnp.mean((hidden @ params["w2"] - y) ** 2)


def one_step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
    """One step."""
    loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
    updates, opt_state = tx.update(gradients, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


update = jax.jit(one_step)
w1, w2 = jax.random.split(jax.random.key(0))
hosts = {"w1": jax.random.normal(w1, (8, 32)), "b1": jnp.zeros(32), "w2": jax.random.normal(w2, (32, 1))}
params = {name: everywhere(array, SPECS[name]) for name, array in hosts.items()}
opt_state = tx.init(params)  # its slots are spread as the parameters are
series = Series(options.folder, keep=Retention(last=2, every=50, best=("loss", "min", 1)))

first = 0
latest = series.latest()
if latest is not None:
    tree, _ = etui.jax.load_distributed(latest, like={"params": params})
    params = tree["params"]
    opt_state = etui.jax.load_opt_state(latest, params, opt_state, optimized="params")
    first = latest.number
print(f"goes on from step {first}" if first else "begins")

for step in range(first, options.steps):
    x = np.random.default_rng(step).normal(size=(16, 8)).astype(np.float32)
    batch = everywhere(x), everywhere(x.sum(1, keepdims=True))
    params, opt_state, loss = update(params, opt_state, *batch)
    if (step + 1) % EVERY == 0:
        etui.jax.save_distributed(
            {"params": params},
            series,
            number=step + 1,
            metrics={"loss": float(loss)},
            opt_state=opt_state,
            optimizer=ADAM,
            optimized="params",
        )
best = series.best("loss")
print(f"done at step {options.steps}; the best is step {best.number if best else None}")
