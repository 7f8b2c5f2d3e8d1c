"""JAX: a loop whose update is given the old arrays, which saves steps of a series in the background and goes on.

python jax_loop.py FOLDER [--steps N]

The arrays that a save looks at are not overwritten by the update that they are donated to.
"""

import argparse
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import etui
from etui.checkpoints import AsyncSaver, Retention, Series

EVERY = 10
RATE = 0.01
# What optax's state does not say of itself, in the words of the core vocabulary.
ADAM = etui.jax.describe("adam", {"learning_rate": RATE, "epsilon": 1e-8, "epsilon_mode": "corrected"})
tx = optax.adam(RATE)


def loss_of(params: Any, key: Any, x: Any, y: Any) -> Any:
    """The loss of a batch, with dropout."""
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    hidden = jnp.where(jax.random.bernoulli(key, 0.8, hidden.shape), hidden / 0.8, 0)
    return jnp.mean((hidden @ params["w2"] - y) ** 2)


@partial(jax.jit, donate_argnums=(0, 1))
def update(state: Any, opt_state: Any, x: Any, y: Any) -> Any:
    """One step; the memory of the old state is used for the new one, unless a save still looks at it."""
    key, used = jax.random.split(state["key"])
    loss, gradients = jax.value_and_grad(loss_of)(state["params"], used, x, y)
    updates, opt_state = tx.update(gradients, opt_state, state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "key": key}, opt_state, loss


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

w1, w2 = jax.random.split(jax.random.key(0))
params = {"w1": jax.random.normal(w1, (8, 32)), "b1": jnp.zeros(32), "w2": jax.random.normal(w2, (32, 1))}
state = {"params": params, "key": jax.random.key(1)}
opt_state = tx.init(params)
series = Series(options.folder, keep=Retention(last=2))

first = 0
latest = series.latest()
if latest is not None:
    with latest.open() as stored:
        state, _ = etui.jax.load_tree(stored, like=state)
        opt_state = etui.jax.load_opt_state(stored, params, opt_state, optimized="params")
    first = latest.number
print(f"goes on from step {first}" if first else "begins")

with AsyncSaver(series) as saver:
    for step in range(first, options.steps):
        x = np.random.default_rng(step).normal(size=(16, 8)).astype(np.float32)
        state, opt_state, loss = update(state, opt_state, x, x.sum(1, keepdims=True))
        if (step + 1) % EVERY == 0:
            captured = etui.jax.capture_tree(state, opt_state=opt_state, optimizer=ADAM, optimized="params")
            # Nothing is copied: the arrays of JAX never change.
            saver.save(captured, step + 1, metrics={"loss": float(loss)})
print(f"done at step {options.steps}")
