"""A stream without a length, read by two workers that each give it whole."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class Numbers(IterableDataset):
    def __iter__(self):
        generator = torch.Generator().manual_seed(7)
        for _ in range(30):
            yield torch.randn(4, generator=generator)


def main():
    torch.manual_seed(0)
    loader = DataLoader(Numbers(), batch_size=8, num_workers=2)
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(batch), batch).backward()
        optimizer.step()
        print(len(batch))
    print("weights", digest(model))


if __name__ == "__main__":
    main()
