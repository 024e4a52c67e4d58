"""Batches cut by hand: there is no loader to be seen."""

import torch
from _weights import digest
from torch import nn

torch.manual_seed(0)
data = torch.randn(200, 8)
model = nn.Linear(8, 8)
optimizer = torch.optim.AdamW(model.parameters())


def get_batch():
    picked = torch.randint(len(data), (16,))
    return data[picked]


for step in range(12):
    batch = get_batch()
    loss = nn.functional.mse_loss(model(batch), batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 4 == 0:
        print(step, f"{loss.item():.6f}")
print("weights", digest(model))
