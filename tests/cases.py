"""One training that each remedy applies to, with what the judge said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipelines import WORKERS, attributed, judged

from perfkit import discovery
from perfkit.diagnosis.evidence import Burst, Communication, Evidence, Growth, OwnWork, Stretch
from perfkit.diagnosis.remedies import Proposal
from perfkit.stats import Interval

ALONE = replace(WORKERS, num_workers=0)
FOUR = replace(WORKERS, num_workers=4)
GPU = replace(WORKERS, devices=("cuda:0",), num_workers=4)
COMPILED = replace(WORKERS, variants=(("fp32", None), ("compile", None)))
HOPPER = {
    "device_name": "H100", "device_capability": [9, 0], "bf16_native": True,
    "device_memory_bytes": 80 * 2**30,
}  # fmt: skip
SLEEPS = {"loader": {"fetch_s": 0.1, "fetch_cpu_s": 0.0, "collate_s": 0.0}}
DECODES = {"loader": {"fetch_s": 0.09, "fetch_cpu_s": 0.09, "collate_s": 0.01}}
QUICK = {"loader": {"fetch_s": 0.001, "fetch_cpu_s": 0.001, "collate_s": 0.0}}
STALLS = ((0.6, *(0.0,) * 9)) * 10

COMPUTE = judged("compute_bound")


def _computes(**changes: Any) -> tuple[Evidence, Any]:
    return attributed(**{"compute": 10.0, "cores": None, **changes}), COMPUTE


def _threads() -> Evidence:
    made = attributed(FOUR, compute=8.0, contention=2.0, row=QUICK)
    real = Stretch(arm="real", palindrome=0, wall_s=1.0, step_s=(0.1,) * 10, workers_cpu_s=0.1)
    return replace(made, stretches=(real,))


def _synchronises() -> Evidence:
    burst = Burst(steps=5, synchronising={"train.py:12": 1.0, "train.py:40": 3.0})
    return replace(attributed(GPU, compute=8.0, sync=2.0), burst=burst)


def ranks(needless_share: float = 0.75, reduces: bool = True, **seconds: float) -> Evidence:
    """One of two ranks that exchange gradients in every backward, of which every fourth has an update."""
    made = attributed(replace(WORKERS, devices=("cpu", "cpu"), parallel="ddp"), **seconds)
    told = Communication(
        ranks=2,
        step_s=Interval(0.03),
        waited_s=0.03,
        needless_share=needless_share,
        reduces=reduces,
    )
    return replace(made, communication=told)


CASES: dict[str, tuple[Evidence, Any]] = {
    "num_workers": (
        attributed(waiting=6.0, compute=4.0, row=SLEEPS),
        judged("input_bound", "storage", 3),
    ),
    "fewer_workers": (
        attributed(FOUR, compute=8.0, contention=2.0, row={"loader": {"fetch_s": 0.09}}),
        judged("contended"),
    ),
    "prefetch_factor": (
        attributed(
            waiting=6.0,
            compute=4.0,
            waits_s=STALLS,
            row={"loader": {"fetch_s": 0.03, "fetch_cpu_s": 0.0}},
        ),
        judged("input_bound", "storage"),
    ),
    "persistent_workers": (
        attributed(replace(WORKERS, persistent_workers=False), compute=8.0, startup=2.0),
        judged("startup_bound"),
    ),
    "pin_memory": (attributed(GPU, compute=8.0, h2d=2.0), judged("h2d_bound")),
    "passive_threads": (
        attributed(replace(FOUR, num_threads=8), compute=8.0, contention=2.0),
        judged("contended"),
    ),
    "num_threads": (
        attributed(replace(FOUR, num_threads=8), compute=8.0, contention=2.0),
        judged("contended"),
    ),
    "worker_threads": (_threads(), judged("contended")),
    "batched_fetch": (
        attributed(ALONE, waiting=2.0, compute=8.0, row={"loader": {"fetch_s": 160e-6}}),
        judged("input_bound", "collate"),
    ),
    "pack_tensors": (
        attributed(FOUR, transfer=6.0, compute=4.0),
        judged("input_bound", "transfer"),
    ),
    "cache_decoded": (
        attributed(waiting=6.0, compute=4.0, row=DECODES),
        judged("input_bound", "decode"),
    ),
    "cheaper_sample": (
        replace(
            attributed(waiting=6.0, compute=4.0, row=DECODES),
            making={
                "__getitem__ (data.py:31)": OwnWork(
                    share=0.9, inner="augment, data.py:12", inner_share=0.8
                )
            },
        ),
        judged("input_bound", "decode"),
    ),
    "vectorised_collate": (
        attributed(waiting=6.0, compute=4.0, row={"loader": {"fetch_s": 0.01, "collate_s": 0.09}}),
        judged("input_bound", "collate"),
    ),
    "constant_steps": (
        replace(
            attributed(compute=10.0, cores=None),
            growth=Growth(
                part="backward", part_share=1.0, first_s=0.06, last_s=0.14, mean_s=0.1, steps=200
            ),
        ),
        COMPUTE,
    ),
    "vectorised_forward": (
        replace(
            attributed(compute=10.0, row={"phases_s": {"forward": 0.08, "backward": 0.02}}),
            long_forward={"match (train.py:31)": OwnWork(share=0.7, inner="iou, boxes.py:7")},
        ),
        judged("compute_bound"),
    ),
    "frozen_outputs": (
        replace(
            attributed(compute=10.0, row={"phases_s": {"forward": 0.08, "backward": 0.02}}),
            long_forward={"distill (kd.py:9)": OwnWork(share=0.9, inner="forward, nets.py:7")},
        ),
        judged("compute_bound"),
    ),
    "metrics_every": (
        attributed(compute=8.0, tasks={"metrics": 2.0}),
        judged("periodic_bound", "metrics"),
    ),
    "viz_every": (
        attributed(compute=8.0, tasks={"visualisation": 2.0}),
        judged("periodic_bound", "visualisation"),
    ),
    "periodic_every": (
        attributed(compute=8.0, tasks={"checkpoint": 2.0, "metrics": 0.1}),
        judged("periodic_bound"),
    ),
    "batches_ahead": (
        replace(
            attributed(ALONE, compute=4.0, other=6.0),
            untracked={"get_batch (train.py:13)": OwnWork(share=0.9)},
        ),
        judged("untracked"),
    ),
    "cheaper_start": (
        replace(
            attributed(ALONE, compute=8.0, startup=2.0),
            first_making={"WeightedRandomSampler.__iter__ (sampler.py:250)": OwnWork(share=0.9)},
        ),
        judged("startup_bound", "first_batch"),
    ),
    "faster_producer": (
        replace(
            attributed(ALONE, waiting=6.0, compute=4.0),
            waited={"batches (train.py:18)": OwnWork(share=1.0)},
        ),
        judged("input_bound"),
    ),
    "eval_every": (attributed(compute=8.0, eval=2.0), judged("periodic_bound", "evaluation")),
    "eval_batched": (attributed(compute=8.0, eval=2.0), judged("periodic_bound", "evaluation")),
    "bf16": _computes(environment={"bf16_native": True}),
    "amp": _computes(config=GPU, environment=HOPPER),
    "tf32": _computes(config=GPU, environment=HOPPER),
    "compile": _computes(),
    "channels_last": _computes(),
    "fused_optimizer": _computes(
        row={"phases_s": {"forward": 0.03, "backward": 0.05, "optimizer": 0.02}}
    ),
    "malloc": _computes(),
    "fewer_syncs": (_synchronises(), judged("sync_bound")),
    "batch_size": _computes(config=GPU, environment=HOPPER, row={"peak_reserved_bytes": 2**30}),
    "base_channels": _computes(),
    "num_blocks": _computes(),
    "baseline": _computes(),
    "no_sync": (ranks(compute=7.0, communication=3.0), judged("communication_bound")),
    "bf16_gradients": (ranks(compute=7.0, communication=3.0), judged("communication_bound")),
    "ddp": (
        attributed(
            replace(GPU, devices=("cuda:0", "cuda:1"), parallel="dp"),
            compute=7.0,
            communication=3.0,
        ),
        judged("communication_bound"),
    ),
}


def propose(name: str, made: Evidence, judgement: Any) -> Proposal | None:
    """What a remedy answers."""
    answer: Proposal | None = discovery.load("remedies", name).propose(made, judgement)
    return answer
