"""Neither a loader nor an optimizer: batches are cut, and weights are changed, by hand."""

import torch
from _weights import digest
from torch import nn

torch.manual_seed(0)
data = torch.randn(64, 8)
model = nn.Linear(8, 8)
for step in range(60):
    batch = data[step : step + 4]
    model.zero_grad()
    loss = nn.functional.mse_loss(model(batch), batch)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.1 * weight.grad
print("weights", digest(model), f"{loss.item():.6f}")
