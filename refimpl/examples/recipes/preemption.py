"""Preemption: a run that is asked to end saves after the step that it is at, and the next run goes on bit for bit.

python preemption.py FOLDER [--steps N] [--pause SECONDS]

Its exit code is 143 after SIGTERM, and 130 after Ctrl-C.
"""

import argparse
import sys
import time

import numpy as np
import torch

import etui
from etui.checkpoints import AsyncSaver, Preemption, Retention, Series

EVERY = 100  # steps that are saved whatever happens

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--pause", type=float, default=0.0, help="seconds that each step takes longer")
options = parser.parse_args()

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
series = Series(options.folder, keep=Retention(last=2))

first = 0
latest = series.latest()
if latest is not None:
    with latest.open() as stored:
        assert stored.state is not None
        etui.torch.load_into(model, optimizer, stored)
        torch.set_rng_state(torch.from_numpy(np.array(stored.state.user["rng"].numpy())))
    first = latest.number

# Handlers of SIGTERM and Ctrl-C are set within the block. The first signal is noted; a second one ends the process.
with AsyncSaver(series) as saver, Preemption() as preemption:
    print(f"goes on from step {first}" if first else "begins", flush=True)
    for step in range(first, options.steps):
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(16, 8)).astype(np.float32))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)).backward()
        optimizer.step()
        time.sleep(options.pause)
        asked = preemption.requested  # once: a signal that comes later than this is for the next step
        if asked or (step + 1) % EVERY == 0 or step + 1 == options.steps:
            rng = etui.Tensor.of(torch.get_rng_state().numpy())
            saver.save(etui.torch.capture(model, optimizer, user={"rng": rng}), step + 1)
        if asked:
            break
# Here the step is written: the saver waited for it when its block was left.
if preemption.signal is not None:
    print(f"ends at step {step + 1}, as it was asked to")
    sys.exit(128 + preemption.signal)
print(f"done at step {options.steps}")
