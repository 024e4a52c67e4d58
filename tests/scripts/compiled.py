"""A model compiled whole (`fullgraph`), its optimizer too: hooks inside would break the graph."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(32, 4)), batch_size=8)
model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
forward = torch.compile(model, fullgraph=True, backend="eager")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
update = torch.compile(lambda: optimizer.step(), backend="eager")
for (batch,) in loader:
    nn.functional.mse_loss(forward(batch), batch).backward()
    update()
    model.zero_grad()
print("weights", digest(model))
