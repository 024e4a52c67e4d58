"""Trainers that the script starts itself, and loader workers of theirs under spawn."""

import sys

import torch
from _weights import digest
from torch import multiprocessing, nn
from torch.utils.data import DataLoader, TensorDataset


def train(rank, results):
    torch.manual_seed(rank)
    workers = 1 if rank == 0 else 0
    context = "spawn" if workers else None
    data = TensorDataset(torch.randn(24, 4))
    loader = DataLoader(data, batch_size=4, num_workers=workers, multiprocessing_context=context)
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (batch,) in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(batch), batch).backward()
        optimizer.step()
    results.put((rank, digest(model)))


if __name__ == "__main__":
    method = sys.argv[1]
    results = multiprocessing.get_context(method).SimpleQueue()
    multiprocessing.start_processes(train, (results,), nprocs=2, start_method=method)
    for rank, weights in sorted(results.get() for _ in range(2)):
        print(rank, weights)
