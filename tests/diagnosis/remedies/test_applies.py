"""When each remedy applies and when it does not, beside the case that `cases.py` has of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import (
    ALONE,
    COMPILED,
    COMPUTE,
    DECODES,
    FOUR,
    GPU,
    HOPPER,
    QUICK,
    SLEEPS,
    STALLS,
    propose,
    ranks,
)
from own_settings import having
from pipelines import WORKERS, attributed, judged

from perfkit.diagnosis.evidence import Evidence, OwnWork

INPUT = judged("input_bound", "decode")


def _untracked(other_s: float, name: str) -> Evidence:
    """Time in no part, all of it seen in one place."""
    made = attributed(compute=10.0 - other_s, other=other_s)
    return replace(made, untracked={name: OwnWork()})


@pytest.mark.parametrize(
    ("name", "made", "judgement"),
    [
        # batches that were ready; hardly any wait; enough workers already; no core left to decode on
        (
            "num_workers",
            attributed(FOUR, waiting=1.0, transfer=5.0, compute=4.0),
            judged("input_bound", "transfer"),
        ),
        (
            "num_workers",
            attributed(waiting=0.4, compute=9.6, row=SLEEPS),
            judged("input_bound", "decode", 2),
        ),
        (
            "num_workers",
            attributed(FOUR, waiting=6.0, compute=4.0, row=SLEEPS),
            judged("input_bound", "decode", 4),
        ),
        (
            "num_workers",
            attributed(cores=2, waiting=6.0, compute=4.0, row=DECODES),
            judged("input_bound", "decode", 3),
        ),
        (
            "fewer_workers",
            attributed(FOUR, compute=9.8, contention=0.2, row=QUICK),
            judged("contended"),
        ),
        ("fewer_workers", attributed(FOUR, compute=8.0, contention=2.0), judged("contended")),
        ("fewer_workers", attributed(ALONE, waiting=6.0, compute=4.0), INPUT),
        # too slow on average; no waits; no workers
        (
            "prefetch_factor",
            attributed(waiting=6.0, compute=4.0, waits_s=STALLS, row=SLEEPS),
            INPUT,
        ),
        ("prefetch_factor", attributed(compute=10.0, waits_s=(0.0,) * 9), COMPUTE),
        ("prefetch_factor", attributed(ALONE, waiting=6.0, compute=4.0, waits_s=STALLS), INPUT),
        ("persistent_workers", attributed(compute=8.0, startup=2.0), judged("startup_bound")),
        (
            "persistent_workers",
            attributed(replace(ALONE, persistent_workers=False), compute=8.0, startup=2.0),
            COMPUTE,
        ),
        (
            "persistent_workers",
            attributed(replace(WORKERS, persistent_workers=False), compute=9.8, startup=0.2),
            COMPUTE,
        ),
        ("pin_memory", attributed(replace(GPU, pin_memory=True), compute=8.0, h2d=2.0), COMPUTE),
        ("pin_memory", attributed(compute=8.0, h2d=2.0), COMPUTE),
        ("pin_memory", attributed(GPU, compute=9.6, h2d=0.4), COMPUTE),
        ("passive_threads", attributed(FOUR, compute=8.0, contention=2.0), judged("contended")),
        (
            "passive_threads",
            attributed(
                replace(FOUR, num_threads=2),
                compute=8.0,
                contention=2.0,
                environment={"variables": {"OMP_WAIT_POLICY": "PASSIVE"}},
            ),
            judged("contended"),
        ),
        (
            "passive_threads",
            attributed(replace(GPU, num_threads=2), compute=8.0, contention=2.0),
            judged("contended"),
        ),
        (
            "num_threads",
            attributed(replace(FOUR, num_threads=4), compute=8.0, contention=2.0),
            judged("contended"),
        ),
        (
            "num_threads",
            attributed(replace(FOUR, num_threads=8), compute=9.8, contention=0.2),
            judged("contended"),
        ),
        (
            "worker_threads",
            attributed(FOUR, compute=8.0, contention=2.0, row=QUICK),
            judged("contended"),
        ),
        ("batched_fetch", attributed(ALONE, waiting=2.0, compute=8.0, row=DECODES), INPUT),
        (
            "batched_fetch",
            attributed(ALONE, waiting=0.4, compute=9.6, row={"loader": {"fetch_s": 1e-4}}),
            INPUT,
        ),
        ("pack_tensors", attributed(FOUR, transfer=0.4, compute=9.6), COMPUTE),
        ("pack_tensors", attributed(ALONE, transfer=4.0, compute=6.0), INPUT),
        (
            "pack_tensors",
            attributed(FOUR, transfer=6.0, compute=4.0, row={"loader": {"tensors": 9.0}}),
            INPUT,
        ),
        (
            "frozen_outputs",
            replace(
                attributed(compute=10.0, row={"phases_s": {"forward": 0.059, "backward": 0.04}}),
                long_forward={"forward (nets.py:7)": OwnWork(share=0.9)},
            ),
            COMPUTE,
        ),
        (
            "vectorised_forward",
            replace(
                attributed(compute=10.0, row={"phases_s": {"forward": 0.08, "backward": 0.02}}),
                long_forward={"distill (kd.py:9)": OwnWork(share=0.9, inner="forward, nets.py:7")},
            ),
            COMPUTE,
        ),
        (
            "vectorised_forward",
            replace(
                attributed(compute=10.0, row={"phases_s": {"forward": 0.08, "backward": 0.02}}),
                long_forward={
                    "embed (kd.py:9)": OwnWork(share=0.9, inner="embed, kd.py:9", in_network=True)
                },
            ),
            COMPUTE,
        ),
        # few exchanges without an update; little communication; no reducer
        ("no_sync", ranks(0.24, compute=7.0, communication=3.0), judged("communication_bound")),
        ("no_sync", ranks(compute=9.8, communication=0.2), judged("communication_bound")),
        ("bf16_gradients", ranks(compute=9.8, communication=0.2), judged("communication_bound")),
        (
            "bf16_gradients",
            ranks(reduces=False, compute=7.0, communication=3.0),
            judged("communication_bound"),
        ),
        ("constant_steps", attributed(compute=10.0), COMPUTE),
        (
            "cache_decoded",
            attributed(waiting=6.0, compute=4.0, row=DECODES),
            judged("input_bound", "collate"),
        ),
        ("cache_decoded", attributed(waiting=0.4, compute=9.6, row=DECODES), INPUT),
        # decoding is late; hardly any wait; stacking what lay in memory
        ("vectorised_collate", attributed(waiting=6.0, compute=4.0, row=DECODES), INPUT),
        (
            "vectorised_collate",
            attributed(waiting=0.4, compute=9.6, row=DECODES),
            judged("input_bound", "collate"),
        ),
        (
            "vectorised_collate",
            attributed(waiting=6.0, compute=4.0, row={"loader": {"fetch_s": 0, "collate_s": 4e-4}}),
            judged("input_bound", "collate"),
        ),
        ("cache_decoded", attributed(waiting=6.0, compute=4.0), INPUT),
        ("metrics_every", attributed(compute=9.8, tasks={"metrics": 0.2}), COMPUTE),
        ("metrics_every", attributed(compute=8.0, tasks={"visualisation": 2.0}), COMPUTE),
        ("viz_every", attributed(compute=9.8, tasks={"visualisation": 0.2}), COMPUTE),
        ("periodic_every", attributed(compute=8.0, tasks={"metrics": 2.0}), COMPUTE),
        ("periodic_every", attributed(compute=9.8, tasks={"checkpoint": 0.2}), COMPUTE),
        # less than 15 %; no function; nothing was seen
        ("batches_ahead", _untracked(1.4, "get_batch (train.py:13)"), COMPUTE),
        ("batches_ahead", _untracked(6.0, "train.py:13"), COMPUTE),
        ("batches_ahead", attributed(compute=4.0, other=6.0), COMPUTE),
        ("eval_every", attributed(compute=9.8, eval=0.2), COMPUTE),
        ("eval_batched", attributed(compute=9.8, eval=0.2), COMPUTE),
        # emulated; a GPU without units; there already
        ("bf16", attributed(compute=10.0), COMPUTE),
        ("bf16", attributed(GPU, compute=10.0, environment={"device_capability": [7, 0]}), COMPUTE),
        (
            "bf16",
            attributed(
                replace(WORKERS, variants=(("bf16", None),)),
                compute=10.0,
                environment={"bf16_native": True},
            ),
            COMPUTE,
        ),
        ("amp", attributed(compute=10.0, environment={"bf16_native": True}), COMPUTE),
        ("amp", attributed(replace(GPU, variants=(("bf16", None),)), compute=10.0), COMPUTE),
        ("tf32", attributed(compute=10.0), COMPUTE),
        ("tf32", attributed(GPU, compute=10.0, environment={"device_capability": [7, 0]}), COMPUTE),
        (
            "tf32",
            attributed(replace(GPU, variants=(("amp", None),)), compute=10.0, environment=HOPPER),
            COMPUTE,
        ),
        (
            "compile",
            attributed(
                replace(COMPILED, variants=(("fp32", None), ("compile", "max-autotune"))),
                compute=10.0,
            ),
            COMPUTE,
        ),
        ("compile", attributed(replace(WORKERS, devices=("mps",)), compute=10.0), COMPUTE),
        ("compile", attributed(compute=0.4, waiting=9.6), INPUT),
        (
            "channels_last",
            attributed(
                replace(WORKERS, variants=(("fp32", None), ("channels_last", None))), compute=10.0
            ),
            COMPUTE,
        ),
        (
            "channels_last",
            attributed(replace(WORKERS, arch="mine.py:factory"), compute=10.0),
            COMPUTE,
        ),
        (
            "fused_optimizer",
            attributed(compute=10.0, row={"phases_s": {"forward": 0.098, "optimizer": 0.002}}),
            COMPUTE,
        ),
        ("malloc", attributed(replace(WORKERS, malloc="keep"), compute=10.0), COMPUTE),
        ("malloc", attributed(GPU, compute=10.0), COMPUTE),
        ("malloc", attributed(compute=10.0, environment={"os": "Darwin 24"}), COMPUTE),
        ("fewer_syncs", attributed(GPU, compute=9.6, sync=0.4), COMPUTE),
        # no memory; no epoch for it; not the network's time
        (
            "batch_size",
            attributed(
                GPU, compute=10.0, environment=HOPPER, row={"peak_reserved_bytes": 41 * 2**30}
            ),
            COMPUTE,
        ),
        ("batch_size", attributed(replace(GPU, num_samples=31), compute=10.0), COMPUTE),
        ("batch_size", attributed(GPU, compute=10.0), INPUT),
        ("base_channels", attributed(having(WORKERS, base_channels=10), compute=10.0), COMPUTE),
        ("base_channels", attributed(compute=10.0), INPUT),
        ("num_blocks", attributed(having(WORKERS, num_blocks=1), compute=10.0), COMPUTE),
        ("baseline", attributed(replace(WORKERS, arch="baseline"), compute=10.0), COMPUTE),
        ("ddp", attributed(GPU, compute=7.0, communication=3.0), COMPUTE),
        (
            "ddp",
            attributed(
                replace(GPU, devices=("cuda:0", "cuda:1"), parallel="dp"),
                compute=9.8,
                communication=0.2,
            ),
            COMPUTE,
        ),
    ],
)
def test_does_not_apply(name: str, made: Evidence, judgement: Any) -> None:
    """Its cause is small, is another, or what it changes is so already."""
    assert propose(name, made, judgement) is None
