"""Ends as its argument says: raise, exit, os_exit, interrupt, term, or an error of its data."""

import os
import signal
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Numbers(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        if sys.argv[1] == "data" and index == 30:
            raise LookupError("sample 30 is missing")
        return torch.full((4,), float(index))


model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
for number, batch in enumerate(DataLoader(Numbers(), batch_size=4)):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(batch), batch).backward()
    optimizer.step()
    print("batch", number, flush=True)
    if number == 6:
        if sys.argv[1] == "raise":
            raise ValueError("the loss is odd")
        if sys.argv[1] == "exit":
            sys.exit(3)
        if sys.argv[1] == "os_exit":
            os._exit(4)
        if sys.argv[1] in ("interrupt", "term"):
            os.kill(os.getpid(), signal.SIGINT if sys.argv[1] == "interrupt" else signal.SIGTERM)
            time.sleep(5)
