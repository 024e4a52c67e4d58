"""Diagnoses made by hand for the tests of reports: every number here is invented, and adds up."""

from __future__ import annotations

from dataclasses import replace

from diagnosis_builders import BASE, HOW, around, diagnosed, step_ms, trained, verdict
from report_documents import CPU, GPU
from report_remedies import (
    CACHE,
    HALF,
    LESS_OFTEN,
    MORE_WORKERS,
    PASSIVE_THREADS,
    PREFETCH,
    REMOVE_SYNC,
    WORKERS_AND_METRICS,
)

from perfkit.document import Diagnosis, NaiveReading, Note, Operator
from perfkit.stats import Interval

WAITING = (
    "The next batch was not ready at 96 % of the steps, and the trainer waited 38.2 ms for it."
)
DECODING = (
    "A worker computes during 97 % of fetching a sample: it decodes, it does not wait for files."
)
DECODE = diagnosed(
    trained(
        {"steps": 25.0, "epoch_start": 0.2, "evaluation": 1.1, "metrics": 0.21},
        step_ms(38.2, 0.8, 8.6, 12.1, 2.3, 0.5),
        not_ready_share=0.962,
        run_delay_s=0.0006,
    ),
    Diagnosis(
        primary="input_bound",
        verdicts=(
            verdict(
                "input_bound",
                "high",
                around(0.5755, 0.012),
                15.28,
                WAITING,
                DECODING,
                "The loader alone delivers 262 samples/s, computing alone takes 681.",
                stage="decode",
                flags=("too_few_workers",),
                removable_s=around(14.9, 0.4),
            ),
            verdict(
                "periodic_bound",
                "moderate",
                Interval(0.0493),
                1.31,
                "Evaluation takes 1.10 s of every epoch, metrics 0.210 s.",
                removable_s=Interval(1.31),
            ),
        ),
        breakdown_s={
            "waiting": 15.28, "transfer": 0.32, "h2d": 0.0, "compute": 9.2, "contention": 0.0009,
            "periodic": 0.21, "eval": 1.1, "startup": 0.241, "other": 0.2,
        },
        differential_s={"input": around(0.0384, 0.0009), "contention": around(0.0001, 0.0004)},
        loader_samples_per_sec=262.0,
        compute_samples_per_sec=681.0,
        actual_samples_per_sec=256.0,
        workers_needed=6,
        remedies=(MORE_WORKERS, CACHE, LESS_OFTEN, PREFETCH, HALF),
        unavailable={
            "h2d": "not_applicable", "sync": "not_applicable", "host_launch": "not_applicable",
            "communication": "not_applicable", "operators": "not_asked",
        },
    ),
)  # fmt: skip
CONTENDED = diagnosed(
    trained(
        {"steps": 4.096, "epoch_start": 0.05, "evaluation": 0.3},
        step_ms(1.9, 3.5, 9.8, 13.6, 2.7, 0.5),
        not_ready_share=0.04,
        run_delay_s=0.0178,
        notes=(Note(code="few_steps", text="an epoch has 128 steps: its start is a large part of it"),),
    ),
    Diagnosis(
        primary="contended",
        verdicts=(
            verdict(
                "contended",
                "high",
                around(0.512, 0.041),
                2.28,
                "With its batches there, a step takes 11.3 ms beside idle workers and 29.1 ms beside"
                " running ones: 17.8 ± 1.4 ms more.",
                "The trainer's thread could run and had no core for 17.1 ms of a step.",
                flags=("full",),
                removable_s=around(2.2, 0.18),
            ),
            verdict(
                "input_bound",
                "moderate",
                around(0.055, 0.009),
                0.243,
                "The next batch was not ready at 4 % of the steps.",
                stage="storage",
                removable_s=around(0.24, 0.04),
            ),
        ),
        breakdown_s={
            "waiting": 0.243, "transfer": 0.448, "compute": 1.125, "contention": 2.28,
            "eval": 0.3, "startup": 0.06, "other": -0.01,
        },
        differential_s={"input": around(0.0207, 0.0016), "contention": around(0.0178, 0.0014)},
        compute_samples_per_sec=1416.0,
        actual_samples_per_sec=500.0,
        remedies=(PASSIVE_THREADS,),
        unavailable={
            "workers_needed": "not_applicable", "loader_samples_per_sec": "no_time",
            "communication": "not_applicable",
        },
    ),
    environment=CPU,
    command="perfkit diagnose --arch convnext --num-workers 2 --threads 2",
)  # fmt: skip
BALANCED = diagnosed(
    trained(
        {"steps": 6.02, "evaluation": 0.12},
        step_ms(1.4, 1.1, 17.3, 23.2, 3.6, 0.4),
        not_ready_share=0.0,
    ),
    Diagnosis(
        primary="balanced",
        breakdown_s={"waiting": 0.18, "transfer": 0.14, "compute": 5.7, "eval": 0.12, "other": 0.05},
        loader_samples_per_sec=371.0,
        compute_samples_per_sec=359.0,
        actual_samples_per_sec=340.0,
        unavailable={"contention": "no_time"},
    ),
    method=HOW | {"arms": ["real", "replay"], "dropped": ["replay_running"]},
)  # fmt: skip
INCONCLUSIVE = diagnosed(
    trained(
        {"steps": 4.096, "evaluation": 0.3},
        step_ms(3.1, 2.3, 9.8, 13.6, 2.7, 0.5),
        unavailable={"epoch_start": "failed", "gpu_util_share": "no_gpu"},
    ),
    Diagnosis(
        primary="inconclusive",
        verdicts=(
            verdict("input_bound", "moderate", around(0.09, 0.08), 0.4, stage="storage"),
        ),
        breakdown_s={"waiting": 0.4, "transfer": 0.3, "compute": 3.4, "eval": 0.3, "other": 0.0},
        actual_samples_per_sec=508.0,
        inconclusive_because=(
            "The witnesses of contention disagree: arms say 31 % of the step, run delay 3 %. 14 of 36"
            " blocks ran beside somebody else's load; run again when the machine is quiet, or longer:"
            " perfkit diagnose --num-workers 2 --time-budget 120"
        ),
        unavailable={"contention": "disturbed", "compute_samples_per_sec": "disturbed"},
    ),
    warnings=(
        Note(code="disturbed", text="the machine is shared: 14 of 36 blocks ran beside other load"),
    ),
)  # fmt: skip
PERIODIC = diagnosed(
    trained(
        {"steps": 6.02, "epoch_start": 0.1, "evaluation": 0.4, "metrics": 3.1, "visualisation": 0.62},
        step_ms(0.2, 0.3, 18.0, 24.3, 3.7, 0.5),
    ),
    Diagnosis(
        primary="periodic_bound",
        verdicts=(
            verdict(
                "periodic_bound",
                "high",
                Interval(0.402),
                4.12,
                "Metrics take 31.0 s every ten epochs, visualisation 31.0 s every 50, evaluation"
                " 0.400 s each.",
                stage="metrics",
                removable_s=Interval(4.12),
            ),
        ),
        breakdown_s={
            "waiting": 0.0258, "transfer": 0.0387, "compute": 5.95, "periodic": 3.72, "eval": 0.4,
            "startup": 0.11, "other": 0.0155,
        },
        remedies=(
            replace(
                LESS_OFTEN,
                why="",
                command="perfkit bench --num-workers 0 --variant metrics_every=20",
                predicted_speedup=Interval(1.178),
                saves_s=Interval(1.55),
            ),
        ),
        unavailable={"contention": "not_applicable"},
    ),
    base=BASE | {"num_workers": 0},
    command="perfkit diagnose --metrics-every 10",
)  # fmt: skip
NAIVE = diagnosed(
    trained(
        {"steps": 52.3, "epoch_start": 0.4, "evaluation": 3.2},
        step_ms(0.1, 0.4, 26.4, 41.7, 3.1, 4.9, h2d=6.9),
        phases_clock="device",
        not_ready_share=0.0,
        exposed_wait_s=0.0005,
        gpu_util_share=0.61,
        peak_allocated_bytes=21_400 * 2**20,
        unavailable={"mfu": "unknown_peak"},
    ),
    Diagnosis(
        primary="sync_bound",
        verdicts=(
            verdict(
                "sync_bound",
                "high",
                around(0.214, 0.006),
                11.97,
                "loss.item() is called at every step and waits 18.3 ms for the device.",
                "Every batch was ready when it was asked for: no step waited for data.",
                stage="train.py:88",
                removable_s=around(11.2, 0.5),
            ),
            verdict(
                "h2d_bound",
                "moderate",
                around(0.079, 0.003),
                4.41,
                "Batches lie in pageable memory: a copy takes 6.90 ms of the device's time.",
                removable_s=around(4.1, 0.2),
            ),
        ),
        breakdown_s={
            "waiting": 0.0637, "transfer": 0.255, "h2d": 4.41, "compute": 35.5, "sync": 11.97,
            "eval": 3.2, "startup": 0.43, "other": 0.1,
        },
        loader_samples_per_sec=2310.0,
        compute_samples_per_sec=248.0,
        actual_samples_per_sec=192.0,
        operators=(
            Operator(name="aten::convolution_backward", share=0.31, where="model.py:41"),
            Operator(name="aten::cudnn_convolution", share=0.17),
        ),
        remedies=(REMOVE_SYNC,),
        naive_nvidia_smi=NaiveReading(
            gpu_util_share=0.61,
            blames="loader",
            is_right=False,
            why="the device idles while the host waits in loss.item(), and no step waited for a batch",
        ),
        unavailable={"contention": "no_time", "communication": "not_applicable"},
    ),
    environment=GPU,
    base=BASE | {"num_workers": 8, "pin_memory": False},
    command="perfkit diagnose --arch train.py:factory --device cuda:0 --num-workers 8",
)  # fmt: skip
_FOUND = DECODE.diagnosis
assert _FOUND is not None
VERIFIED = replace(
    DECODE,
    command="perfkit diagnose --num-workers 2 --verify",
    diagnosis=replace(
        _FOUND,
        remedies=(
            replace(MORE_WORKERS, measured_speedup=Interval(2.09, 2.01, 2.17)),
            replace(CACHE, measured_speedup=Interval(2.16, 2.1, 2.22)),
            replace(LESS_OFTEN, measured_speedup=Interval(0.97, 0.95, 0.99)),
            WORKERS_AND_METRICS,
            PREFETCH,
            HALF,
        ),
    ),
)
UNFINISHED = replace(
    INCONCLUSIVE,
    complete=False,
    diagnosis=Diagnosis(
        primary="inconclusive",
        inconclusive_because="one palindrome of arms was run, and 6 are needed",
        unavailable={"breakdown_s": "no_data"},
    ),
    warnings=(),
    method=HOW | {"elapsed_s": 21.0, "palindromes": [1]},
)
DIAGNOSES = {
    "decode": DECODE,
    "contended": CONTENDED,
    "balanced": BALANCED,
    "undecided": INCONCLUSIVE,
    "periodic": PERIODIC,
    "naive": NAIVE,
    "verified": VERIFIED,
    "unfinished": UNFINISHED,
}
"""What the golden files of diagnoses are made from."""
