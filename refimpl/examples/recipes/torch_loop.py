"""PyTorch: a loop that saves steps of a series in the background, and goes on where the last run ended.

python torch_loop.py FOLDER [--steps N]

The steps of a series share what did not change; two of them are kept here.
"""

import argparse

import numpy as np
import torch

import etui
from etui.checkpoints import AsyncSaver, Retention, Series

EVERY = 10


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The data of a step, by its number alone."""
    rng = np.random.default_rng(step)
    x = rng.normal(size=(16, 8)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(x.sum(1, keepdims=True))


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Linear(8, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
series = Series(options.folder, keep=Retention(last=2))

first = 0
latest = series.latest()
if latest is not None:
    with latest.open() as stored:
        assert stored.state is not None
        etui.torch.load_into(model, optimizer, stored)
        # Dropout draws from torch's own generator, so that its state is a part of the run's.
        torch.set_rng_state(torch.from_numpy(np.array(stored.state.user["rng"].numpy())))
    first = latest.number
print(f"goes on from step {first}" if first else "begins")

with AsyncSaver(series) as saver:
    for step in range(first, options.steps):
        x, y = batch(step)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            rng = etui.Tensor.of(torch.get_rng_state().numpy())
            captured = etui.torch.capture(model, optimizer, user={"rng": rng})
            # Returns when the state is copied; the write goes on while the next steps are made.
            saver.save(captured, step + 1, metrics={"loss": float(loss.detach())})
print(f"done at step {options.steps}")
