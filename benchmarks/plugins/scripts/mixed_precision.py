"""A training script that knows nothing of perfkit: fp16 with a GradScaler, `.item()` each step, copies from
pageable memory, and a data set that takes its time. It prints what it did, as JSON."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

EPOCHS, STEPS, BATCH = 4, 60, 32
SLEEP_S = 0.01


class Slow(Dataset[Any]):
    """Images that are there, in batches that take `SLEEP_S` to come."""

    def __len__(self) -> int:
        return STEPS * BATCH

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        generator = torch.Generator().manual_seed(index)
        if index % BATCH == 0:
            time.sleep(SLEEP_S)
        return torch.rand(3, 32, 32, generator=generator), index % 10


def main() -> None:
    """Train, and print the weights' hash, the steps, and how long a step waited for its batch."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.float16 if device == "cuda" else torch.bfloat16
    torch.backends.cudnn.deterministic = True
    width = 64 if device == "cuda" else 8
    model = nn.Sequential(
        nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    loader = DataLoader(Slow(), batch_size=BATCH)
    steps, wait_s, total = 0, 0.0, 0.0
    for _ in range(EPOCHS):
        batches = iter(loader)
        while True:
            begin = time.perf_counter()
            try:
                images, targets = next(batches)
            except StopIteration:
                break
            # the loss was looked at: the device has nothing left to do, and idles for all of this
            wait_s += time.perf_counter() - begin
            images, targets = images.to(device), targets.to(device)
            with torch.autocast(device, dtype=dtype):
                loss = nn.functional.cross_entropy(model(images), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            total += loss.item()
            steps += 1
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in model.parameters())
    told = {
        "weights": hashlib.sha256(weights).hexdigest(),
        "steps": steps,
        "wait_s": wait_s / steps,
        "loss": total / steps,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
