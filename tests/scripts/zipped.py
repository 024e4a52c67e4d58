"""Two loaders make one step: zipped, and one of them endless."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def endless(loader):
    while True:
        yield from loader


torch.manual_seed(0)
named = DataLoader(TensorDataset(torch.randn(24, 4), torch.randn(24, 1)), batch_size=4)
plain = DataLoader(TensorDataset(torch.randn(12, 4)), batch_size=4, shuffle=True)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
more = endless(plain)

for _ in range(2):
    for inputs, targets in named:
        (others,) = next(more)
        loss = nn.functional.mse_loss(model(inputs), targets) + model(others).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
for (inputs, targets), (others,) in zip(named, plain, strict=False):
    loss = nn.functional.mse_loss(model(inputs), targets) + model(others).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("weights", digest(model))
