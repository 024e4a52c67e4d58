"""No `__main__` guard: under spawn each worker runs the script again, and ends with an error."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

print("begins", __name__)
torch.manual_seed(0)
data = TensorDataset(torch.randn(16, 4))
loader = DataLoader(data, batch_size=8, num_workers=1, multiprocessing_context="spawn")
model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for (batch,) in loader:
    optimizer.zero_grad()
    nn.functional.mse_loss(model(batch), batch).backward()
    optimizer.step()
print("weights", digest(model))
