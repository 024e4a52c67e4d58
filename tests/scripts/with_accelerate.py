"""accelerate: it reads one batch ahead."""

import torch
from _weights import digest
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
accelerator = Accelerator(cpu=True)
model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(torch.randn(40, 4)), batch_size=4, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for _ in range(2):
    for (batch,) in loader:
        optimizer.zero_grad()
        accelerator.backward((model(batch) - batch).square().mean())
        optimizer.step()
print("weights", digest(model))
