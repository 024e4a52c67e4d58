"""Trainings on the simulated device of every kind, drawn by a seed."""

from __future__ import annotations

import random

from simulated_loader import Job

ROTATION = 11
"""Batches whose times differ. A block and an epoch have whole rotations, so that no draw is in one alone; and
each worker comes to make every one of them."""
STEPS = 12 * ROTATION
ON_DEVICE = ("fed", "starved", "stalling", "handing", "launching", "synchronising", "unpinned")
ON_HOST = ("host_fed", "host_starved", "host_stalling", "host_handing", "host_alone")


def make_job(kind: str, seed: int) -> Job:
    """Draw a job of a kind.

    fed            the device is always busy
    starved        batches take longer to make than to train on
    stalling       every so many-th batch takes many steps
    handing        taking a batch over takes the host as long as a step, or longer
    launching      kernels shorter than their launch
    synchronising  every step ends with a `.item()`
    unpinned       the host waits for every copy
    host_…         the same without a device; `host_alone` makes its batches itself
    """
    rng = random.Random(f"{kind} {seed}")
    kind = kind.removeprefix("host_") if (on_host := kind.startswith("host_")) else kind

    def about(value: float, by: float = 0.15) -> int:
        return max(1, round(value * rng.uniform(1 - by, 1 + by)))

    launch_ns = rng.randint(20_000, 60_000)
    counts = rng.randint(3, 6), rng.randint(6, 12), rng.randint(2, 4)
    kernel_ns = rng.uniform(6, 20) * launch_ns
    if kind == "launching":
        kernel_ns = rng.uniform(0.1, 0.5) * launch_ns
        counts = counts[0] * 3, counts[1] * 3, counts[2] * 3
    kernels = tuple(tuple(about(kernel_ns) for _ in range(count)) for count in counts)
    work_ns = sum(map(sum, kernels))
    if kind == "launching":
        work_ns = sum(counts) * launch_ns
    workers = 0 if kind == "alone" else rng.randint(1, 4)
    prefetch = rng.randint(2 if kind == "handing" else 1, 3)
    make_ns = work_ns * max(1, workers) * {
        "starved": rng.uniform(1.3, 3.0),
        "alone": rng.uniform(0.1, 1.5),
        "launching": rng.uniform(0.05, 0.15),
    }.get(kind, rng.uniform(0.1, 0.6))  # fmt: skip
    stalls = rng.choice((3, 5, ROTATION)) if kind == "stalling" else 0
    times = [
        about(make_ns)
        + (round(make_ns * rng.uniform(6, 12)) if stalls and n % stalls == stalls - 1 else 0)
        for n in range(ROTATION)
    ]
    take_ns = work_ns * {
        "handing": rng.uniform(0.9, 2.0),
        "launching": rng.uniform(0.002, 0.01),
        "synchronising": rng.uniform(0.02, 0.2),
    }.get(kind, rng.uniform(0.005, 0.05))  # fmt: skip
    epoch_ns = STEPS * work_ns
    # longer ones are hidden behind what the host does before the next kernel
    most_copied = 0.04 if kind == "synchronising" else 0.3
    late = kind in ("starved", "stalling")
    every = rng.choice((1, 5))
    return Job(
        on_device=not on_host,
        steps=STEPS,
        epochs=rng.choice((5, 100)),
        workers=workers,
        prefetch=prefetch,
        persistent=rng.random() < 0.5,
        make_ns=tuple(times),
        first_batch_ns=0 if late else rng.choice((0, round(epoch_ns * rng.uniform(0.01, 0.1)))),
        start_ns=round(epoch_ns * rng.uniform(0.005, 0.05)),
        iter_ns=round(epoch_ns * rng.uniform(0.0, 0.01)),
        take_ns=round(take_ns),
        copy_ns=0 if on_host else round(work_ns * rng.uniform(0.01, most_copied)),
        copy_python_ns=launch_ns,
        pinned=kind != "unpinned",
        kernels_ns=kernels,
        python_ns=round(work_ns * rng.uniform(0.05, 0.2)) if kind == "synchronising" else launch_ns,
        launch_ns=launch_ns,
        rest_ns=round(work_ns * rng.uniform(0.0, 0.01)),
        item=kind == "synchronising",
        compile_ns=rng.choice((0, round(epoch_ns * 0.2))),
        evaluation_ns=(about(epoch_ns * rng.uniform(0.0, 0.02)),) * 5,
        periodic_ns=round(every * epoch_ns * rng.uniform(0.0, 0.2)),
        every=every,
        queue_limit=rng.randint(2, 4) * (sum(counts) + 1),
    )
