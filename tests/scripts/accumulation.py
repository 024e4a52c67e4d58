"""Gradients of four batches make an update; a generator lies between the loader and the loop."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def logged(batches):
    for number, batch in enumerate(batches):
        yield batch
        if number % 4 == 0:
            print("batch", number)


torch.manual_seed(0)
data = TensorDataset(torch.randn(66, 8), torch.randn(66, 1))
loader = DataLoader(data, batch_size=4, shuffle=True, drop_last=True)
model = nn.Linear(8, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)

for _ in range(2):
    for number, (inputs, targets) in enumerate(logged(loader)):
        (nn.functional.mse_loss(model(inputs), targets) / 4).backward()
        if number % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    schedule.step()

print("weights", digest(model))
