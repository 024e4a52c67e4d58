"""What it trains."""

from torch import nn


def make():
    return nn.Linear(4, 4)
