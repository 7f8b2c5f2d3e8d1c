"""Goes on in PyTorch for some epochs with what Keras saved: python go_on.py FILE EPOCHS."""

import sys

import torch
from spirals import BATCH, x, y

import etui

path, epochs = sys.argv[1], int(sys.argv[2])
run = etui.torch.load(path)
print("goes on from step", run.optimizer.counters["step"])

inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
for _ in range(epochs):
    for rows in range(0, len(x), BATCH):
        run.optimizer.zero_grad()
        loss = run.loss(run.module(inputs[rows : rows + BATCH]), targets[rows : rows + BATCH])
        loss.backward()
        run.optimizer.step()

run.module.eval()
with torch.no_grad():
    predicted = run.module(inputs)
accuracy = (predicted.argmax(1) == targets).float().mean()
print(f"step {run.optimizer.counters['step']}: loss {run.loss(predicted, targets):.2f}, accuracy {accuracy:.2f}")
etui.torch.save(run.module, run.optimizer, path)
