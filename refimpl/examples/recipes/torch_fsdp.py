"""PyTorch with FSDP2: processes save one step together, and any number of processes goes on from it.

torchrun --nproc-per-node 4 torch_fsdp.py FOLDER [--steps N]

DCP's planner says who writes and who reads what; each process writes the shards that it has, and the step is there when
all of them are durable. It is an ordinary artifact: one process opens it without DCP, by path.
"""

import argparse
import os

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

import etui
from etui.checkpoints import Retention, Series

EVERY = 10


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The data of a step for all processes, by its number alone; each takes its share."""
    x = np.random.default_rng(step).normal(size=(32, 8)).astype(np.float32)
    own = torch.from_numpy(x[dist.get_rank() :: dist.get_world_size()])
    return own, own.sum(1, keepdim=True)


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()

# torchrun sets these; without it, this is the only process.
alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
os.environ.update({name: os.environ.get(name, value) for name, value in alone.items()})
dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Linear(64, 1))
for layer in model:
    fully_shard(layer)
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
series = Series(options.folder, keep=Retention(last=2))


def state() -> dict[str, object]:
    """What is saved, and what is loaded into: the shards of this process."""
    weights, slots = get_state_dict(model, optimizer)
    return {"model": weights, "optim": slots, "scheduler": scheduler.state_dict()}


first = 0
latest = series.latest()
if latest is not None:
    loaded = state()
    dcp.load(loaded, storage_reader=etui.torch.DistributedReader(latest))
    set_state_dict(model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optim"])
    scheduler.load_state_dict(loaded["scheduler"])
    first = latest.number
if dist.get_rank() == 0:
    print(f"goes on from step {first}" if first else "begins")

for step in range(first, options.steps):
    x, y = batch(step)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    scheduler.step()
    if (step + 1) % EVERY == 0:
        writer = etui.torch.DistributedWriter(series, step=step + 1, metrics={"loss": float(loss.detach())})
        dcp.save(state(), storage_writer=writer)
if dist.get_rank() == 0:
    print(f"done at step {options.steps}")
dist.barrier()
dist.destroy_process_group()
