"""Remedies made by hand for the tests of reports: every number here is invented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfkit.document import Basis, Remedy
from perfkit.stats import Interval


def remedy(
    name: str,
    basis: Basis,
    speedup: Sequence[float] = (),
    saves_s: Sequence[float] = (),
    **told: Any,
) -> Remedy:
    """A remedy that is predicted to be so much faster and to save so many seconds of an epoch."""
    predicted = {"predicted_speedup": speedup, "saves_s": saves_s}
    told |= {name: Interval(*values) for name, values in predicted.items() if values}
    return Remedy(name=name, basis=basis, **told)


PASSIVE_THREADS = remedy(
    "passive_threads", "arithmetic", (1.52, 1.31, 1.79), (1.52, 1.05, 1.96),
    why="Two threads of the trainer spin for each other while workers hold the cores.",
    risk="Where cores are free, passive threads take longer to wake: some 50 µs an operator.",
    snippet="export OMP_WAIT_POLICY=passive",
)  # fmt: skip
MORE_WORKERS = remedy(
    "num_workers", "arithmetic", (2.21, 1.98, 2.37), (14.6, 13.2, 15.4),
    variant="num_workers=6",
    why="A worker makes a batch in 123 ms and computes during 97 % of it; 5.1 of them keep up with a step.",
    risk="Six workers take 0.9 GiB more memory; the order of samples stays as it is.",
    command="perfkit bench --num-workers 2 --sweep num_workers=2,6",
    snippet="DataLoader(..., num_workers=6, persistent_workers=True)",
)  # fmt: skip
CACHE = remedy(
    "cache_decoded", "bound", (2.28, 1.0, 2.28), (15.0, 0.0, 15.0),
    why="Decoding is 88 % of what a worker does for a sample, and every epoch decodes the same files.",
    risk="2048 decoded images of 32 pixels take 6 MiB; random crops have to come after the cache.",
    snippet="""class Cached(Dataset):
    def __init__(self, dataset):
        self.kept = [dataset.decode(i) for i in range(len(dataset))]

    def __getitem__(self, index):
        return self.transform(self.kept[index])""",
)  # fmt: skip
LESS_OFTEN = remedy(
    "metrics_every", "arithmetic", (1.004, 1.003, 1.005), (0.105, 0.09, 0.12),
    variant="metrics_every=20",
    why="Metrics take 2.1 s every ten epochs.",
    risk="Curves of the metrics have half the points.",
    command="perfkit bench --num-workers 2 --variant metrics_every=20",
)  # fmt: skip
PREFETCH = remedy("prefetch_factor", "arithmetic", variant="prefetch_factor=4")
HALF = remedy(
    "bf16", "trialled", (1.002, 0.994, 1.01), (0.05, -0.2, 0.3),
    variant="bf16",
    why="With its batches there, a step took 0.81 of its time in bfloat16.",
    risk="Products are rounded to 8 bits: hold the losses against those of FP32.",
    command="perfkit bench --num-workers 2 --variant bf16",
    changes_training=True,
)  # fmt: skip
REMOVE_SYNC = remedy(
    "remove_sync", "arithmetic", (1.27, 1.24, 1.29), (11.9, 10.8, 12.6),
    why="loss.item() at train.py:88 waits for the device at every step.",
    risk="The loss is printed some steps late.",
    snippet="""losses += loss.detach()  # on the device
if step % 50 == 0:
    print(losses.item() / 50)""",
)  # fmt: skip
WORKERS_AND_METRICS = remedy(
    "num_workers=6+metrics_every=20", "arithmetic", (2.24, 2.01, 2.41), (14.7, 13.3, 15.5),
    variant="num_workers=6+metrics_every=20",
    measured_speedup=Interval(2.12, 2.03, 2.21),
)  # fmt: skip
