"""A loader that keeps an iterator of its own, as torchdata's StatefulDataLoader does."""

import torch
from _weights import digest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter, _SingleProcessDataLoaderIter


class Loader(DataLoader):
    kept = None

    def __iter__(self):
        if self.kept is None:
            kinds = (_SingleProcessDataLoaderIter, _MultiProcessingDataLoaderIter)
            self.kept = kinds[self.num_workers > 0](self)
        else:
            self.kept._reset(self)
        return self.kept


torch.manual_seed(0)
data = TensorDataset(torch.randn(40, 4))
train = Loader(data, batch_size=8, num_workers=1, persistent_workers=True)
check = Loader(data, batch_size=20)
model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    for (batch,) in train:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(batch), batch).backward()
        optimizer.step()
    with torch.no_grad():
        for (batch,) in check:
            model(batch)
plain = iter(DataLoader(data, batch_size=40))
next(plain)
# asked again at its end it begins no other pass
assert [next(plain, None), next(plain, None)] == [None, None]
print("weights", digest(model))
