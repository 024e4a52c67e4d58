"""LBFGS: several forwards and backwards inside one `step(closure)`."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(40, 4), torch.randn(40, 1)), batch_size=20)
model = nn.Linear(4, 1)
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
calls = 0

for _ in range(2):
    for inputs, targets in loader:

        def closure(inputs=inputs, targets=targets):
            global calls
            calls += 1
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            return loss

        print(f"{float(optimizer.step(closure)):.6f}")

print("calls", calls)
print("weights", digest(model))
