"""Two ranks over gloo, started by torchrun; the second one is late in every step."""

import os
import time

import torch
from _weights import digest
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

distributed.init_process_group("gloo")
torch.manual_seed(0)
data = TensorDataset(torch.randn(32, 4))
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=4, sampler=sampler)
model = DistributedDataParallel(nn.Linear(4, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    sampler.set_epoch(epoch)
    for (batch,) in loader:
        time.sleep(0.02 * distributed.get_rank())
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        distributed.all_reduce(loss.detach())
if distributed.get_rank() == 0:
    print("weights", digest(model), sorted(name for name in os.environ if "RANK" in name))
distributed.destroy_process_group()
