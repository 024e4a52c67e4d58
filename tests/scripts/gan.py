"""Two optimizers and three backwards an iteration."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(60, 6)), batch_size=10, shuffle=True)
make = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 6))
judge = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
make_optimizer = torch.optim.Adam(make.parameters(), lr=1e-3)
judge_optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
loss_of = nn.BCEWithLogitsLoss()

for _ in range(2):
    for (real,) in loader:
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = make(torch.randn(len(real), 3))
        judge_optimizer.zero_grad()
        loss_of(judge(real), ones).backward()
        loss_of(judge(fake.detach()), zeros).backward()
        judge_optimizer.step()
        make_optimizer.zero_grad()
        loss = loss_of(judge(fake), ones)
        loss.backward()
        make_optimizer.step()
    print(f"{loss.item():.6f}")

print("weights", digest(make, judge))
