"""Run as `python -m package.train`: its imports are relative, and it says what a script can see of itself."""

import os
import random
import sys

import numpy
import torch
from torch.utils.data import DataLoader, TensorDataset

from .model import make


def main():
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(torch.randn(16, 4)), batch_size=4, shuffle=True)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (batch,) in loader:
        optimizer.zero_grad()
        (model(batch) - batch).square().mean().backward()
        optimizer.step()
    print(sys.argv[1:], sys.path, os.getcwd(), __name__, __spec__.name)
    ours = ("PYTHONPATH", "PERFKIT_HOME", "PERFKIT_STUDY")
    print(sorted((name, value) for name, value in os.environ.items() if name not in ours))
    print(sys.stdin.isatty(), sys.stdout.isatty(), sorted(sys.modules["__main__"].__dict__))
    random.seed(1)
    numpy.random.seed(1)
    print(random.random(), numpy.random.rand(), torch.rand(1).item())
    print(type(loader).__name__, type(iter(loader)).__name__, loader.__iter__.__name__)
    print(model.weight.sum().item().hex())


main()
