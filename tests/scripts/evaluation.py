"""Evaluation inside and after each epoch, a look at a batch before all, a checkpoint, workers that stay."""

import io

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def evaluate(model, loader, batches):
    model.eval()
    right = 0
    with torch.no_grad():
        for i, (inputs, targets) in enumerate(loader):
            right += int((model(inputs).argmax(1) == targets).sum())
            if i + 1 == batches:
                break
    model.train()
    return right


def main():
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(80, 8), torch.randint(3, (80,)))
    train = DataLoader(data, batch_size=8, shuffle=True, num_workers=2, persistent_workers=True)
    check = DataLoader(data, batch_size=40)
    batches = iter(train)
    inputs, _ = next(batches)
    print("shape", tuple(inputs.shape))

    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for step, (inputs, targets) in enumerate(train):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 4 == 3:
                print("some", evaluate(model, check, batches=1))
        print("all", evaluate(model, check, batches=0))
        torch.save(model.state_dict(), io.BytesIO())
    print("weights", digest(model))


if __name__ == "__main__":
    main()
