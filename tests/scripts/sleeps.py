"""The workload `sleeps` of tests/plugins as a plain script: `sleeps.py WORKERS EPOCHS`."""

import sys

import torch
from torch.utils.data import DataLoader

from perfkit.config import RunConfig
from perfkit.discovery import load

workers, epochs = map(int, sys.argv[1:])
config = RunConfig(arch="sleeps", num_samples=320, batch_size=16)
torch.set_num_threads(config.num_threads)
workload = load("workloads", "sleeps").factory(config)
model, loss_of = workload.model, workload.loss
optimizer = workload.optimizer(model.parameters())
loader = DataLoader(
    workload.dataset,
    batch_size=config.batch_size,
    shuffle=True,
    num_workers=workers,
    persistent_workers=workers > 0,
)
for _ in range(epochs):
    for inputs, targets in loader:
        loss = loss_of(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
