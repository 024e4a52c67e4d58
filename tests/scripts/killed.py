"""Trains for a while, says when each step ended, and is killed: nothing of Python's runs at the end."""

import itertools
import os
import signal
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader

model = nn.Linear(8, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
if sys.argv[1] == "loader":
    batches = iter(DataLoader(torch.randn(16000, 8), batch_size=16))
else:
    batches = (torch.randn(16, 8) for _ in itertools.count())
begun = time.monotonic()
while time.monotonic() < begun + 2:
    batch = next(batches)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(batch), batch).backward()
    optimizer.step()
    print(time.perf_counter_ns(), flush=True)
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
