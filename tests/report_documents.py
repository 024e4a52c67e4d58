"""Documents made by hand for the tests of reports: every number here is invented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfkit.document import Document, Finding, Note, Row, Speedup, Spread
from perfkit.stats import Interval, Outcome

CPU = {
    "perfkit": "0.1.0",
    "python": "3.11.7",
    "torch": "2.13.0+cpu",
    "cpu_model": "Example CPU @ 2.5 GHz",
    "cores_usable": 2,
    "memory_bytes": 8 * 2**30,
    "device_name": "Example CPU @ 2.5 GHz",
    "device_type": "cpu",
}
GPU = {
    **CPU,
    "torch": "2.13.0",
    "cores_usable": 16,
    "memory_bytes": 128 * 2**30,
    "device_name": "Example GPU",
    "device_type": "cuda",
    "device_memory_bytes": 80 * 2**30,
}
METHOD = {
    "generations": 6,
    "processes": 12,
    "blocks": 48,
    "steps": 1240,
    "side_by_side": True,
    "budget_s": 116.0,
    "elapsed_s": 112.6,
    "interval": "95 %, Student's t over generations",
    "sizes": "sized for 2 cores: 32-pixel images, batch 16, 2048 samples an epoch",
}


def row(key: str, epoch_s: float = 28.1, half_s: float | None = 0.5, **changes: Any) -> Row:
    """A measured row of 128 steps an epoch."""
    arch, _, variant = key.partition("/")
    interval = Interval(epoch_s) if half_s is None else _around(epoch_s, half_s)
    step_s = 0.95 * epoch_s / 128
    values: dict[str, Any] = {
        "status": "ok",
        "epoch_time_s": interval,
        "step_time_s": Spread(median=step_s, p10=0.97 * step_s, p90=1.06 * step_s),
        "samples_per_sec": 16 / step_s,
        "peak_rss_bytes": 612 * 2**20,
        "overhead_share": 0.0002,
        "generations": 6,
        "unavailable": {
            "gpu_util_share": "no_gpu",
            "peak_allocated_bytes": "no_gpu",
            "peak_reserved_bytes": "not_supported",
            "mfu": "unknown_peak",
        },
    }
    return Row(key=key, arch=arch, variant=variant, **(values | changes))


def reference(key: str = "convnext/fp32", **changes: Any) -> Row:
    """The first row."""
    values = {
        "speedup": Speedup(value=1.0, low=1.0, high=1.0, outcome="reference"),
        "epoch_parts_s": {"steps": 26.7, "epoch_start": 0.2, "evaluation": 0.9, "metrics": 0.3},
        "phases_s": {
            "data_wait": 0.05, "h2d": 0.0, "forward": 0.06, "backward": 0.08, "optimizer": 0.015,
            "other": 0.004,
        },
    }  # fmt: skip
    return row(key, **(values | changes))


def on_gpu(**changes: Any) -> Row:
    """The first row, on a GPU."""
    values = {"peak_allocated_bytes": 21_400 * 2**20, "gpu_util_share": 0.964, "unavailable": {}}
    return reference(epoch_s=112.4, half_s=0.31, **(values | changes))


def compiled(**changes: Any) -> Row:
    """A row of that GPU that is compiled."""
    values = {
        "speedup": judged(2.257, 2.239, 2.275, "faster"),
        "peak_allocated_bytes": 9_800 * 2**20,
        "gpu_util_share": 0.958,
        "compile_break_even_epochs": 0.66,
        "unavailable": {},
    }
    return row("convnext/amp+compile", 49.8, 0.4, **(values | changes))


def judged(value: float, low: float | None, high: float | None, outcome: Outcome) -> Speedup:
    """A speed-up."""
    return Speedup(value=value, low=low, high=high, outcome=outcome)


def failed(key: str, status: Any, message: str) -> Row:
    """A row that has nothing but its failure."""
    arch, _, variant = key.partition("/")
    return Row(key=key, arch=arch, variant=variant, status=status, message=message)


def document(*rows: Row, **changes: Any) -> Document:
    """A bench on a CPU."""
    values: dict[str, Any] = {
        "kind": "bench",
        "command": "perfkit bench --arch convnext --amp",
        "created": "2026-01-01T00:00:00+00:00",
        "environment": CPU,
        "base": {},
        "rows": rows,
        "method": METHOD,
        "unavailable": {"diagnosis": "not_asked"},
    }
    return Document(**(values | changes))


def _around(value: float, half: float) -> Interval:
    return Interval(value, value - half, value + half)


FASTER = judged(1.342, 1.29, 1.4, "faster")
EMULATED = Note(
    code="emulated_bf16", text="bfloat16 is emulated: this CPU has no instructions for it"
)
INPUT_BOUND = Finding(
    kind="input_bound",
    severity="high",
    share=0.24,
    message="The device waits for batches during 24 % of the epoch.",
    try_next="Add a row with more loader workers: --variant num_workers=2",
)

TWO_ROWS = document(
    reference(),
    row("convnext/amp", 20.94, 0.42, speedup=FASTER, peak_rss_bytes=561 * 2**20, notes=(EMULATED,)),
    findings=(INPUT_BOUND,),
)
FOUR_ROWS = document(
    reference(),
    failed(
        "convnext/bf16+batch_size=4096",
        "oom",
        "CUDA out of memory. Tried to allocate 12.00 GiB\n(device has 80 GiB)",
    ),
    failed("baseline/tf32", "unsupported", "TF32 needs a CUDA device of compute capability 8.0"),
    row("baseline/amp", 6.84, 0.09, speedup=judged(4.108, 3.921, 4.304, "faster")),
    command="perfkit bench",
    method=METHOD | {"processes": 20},
)
INCONCLUSIVE = document(
    reference(),
    row("convnext/amp", 27.0, 1.6, speedup=judged(1.041, 0.972, 1.115, "inconclusive")),
    warnings=(
        Note(code="disturbed", text="the machine is shared: 20 of 48 blocks ran beside other load"),
    ),
)
INTERRUPTED = document(
    reference(half_s=None, generations=1),
    row(
        "convnext/amp",
        20.9,
        None,
        generations=1,
        speedup=judged(1.344, None, None, "inconclusive"),
    ),
    failed("convnext/fp32+compile", "error", "not run: the study ended before its turn"),
    complete=False,
    method={"generations": 1, "processes": 2, "elapsed_s": 21.2},
)
ON_GPU = document(
    on_gpu(),
    row(
        "convnext/amp",
        61.2,
        0.2,
        speedup=judged(1.837, 1.829, 1.845, "faster"),
        peak_allocated_bytes=11_900 * 2**20,
        gpu_util_share=0.981,
        unavailable={"mfu": "unknown_peak"},
    ),
    compiled(startup_s={"first_step": 41.3}),
    environment=GPU,
    command="perfkit bench --arch convnext --amp --variant amp+compile",
    method=METHOD | {"processes": 18},
)
BATCHES = document(
    reference(
        "convnext/fp32",
        phases_s={
            "waiting": 0.012, "transfer": 0.04, "h2d": 0.0, "forward": 0.06, "backward": 0.078,
            "optimizer": 0.015, "other": 0.004,
        },
        phases_clock="host",
        not_ready_share=0.031,
        run_delay_s=0.0012,
        startup_s={"worker_start": 0.041, "first_batch": 0.32, "first_step": 0.41},
    ),
    row(
        "convnext/fp32+num_workers=4",
        24.6,
        speedup=judged(1.142, 1.11, 1.174, "faster"),
        phases_s={
            "waiting": 0.0002, "transfer": 0.012, "h2d": 0.0, "forward": 0.07, "backward": 0.082,
            "optimizer": 0.015, "other": 0.004,
        },
        phases_clock="host",
        not_ready_share=0.002,
        run_delay_s=0.0178,
        startup_s={"worker_start": 0.083, "first_batch": 0.36, "first_step": 0.43},
    ),
    command="perfkit bench --sweep num_workers=2,4",
)  # fmt: skip
DEVICE_CLOCK = document(
    on_gpu(
        phases_s={
            "waiting": 0.004, "transfer": 0.021, "h2d": 0.008, "forward": 0.26, "backward": 0.51,
            "optimizer": 0.018, "other": 0.013,
        },
        phases_clock="device",
        not_ready_share=0.0,
        exposed_wait_s=0.025,
    ),
    compiled(
        phases_s={
            "waiting": 0.061, "transfer": 0.02, "h2d": 0.008, "forward": 0.09, "backward": 0.17,
            "optimizer": 0.012, "other": 0.009,
        },
        phases_clock="device",
        not_ready_share=0.44,
        exposed_wait_s=0.081,
        startup_s={
            "worker_start": 0.3, "first_batch": 0.9, "first_step": 6.2, "first_step_cold": 41.3,
        },
    ),
    environment=GPU,
    command="perfkit bench --variant amp+compile",
)  # fmt: skip
LOST = Note(
    code="part_lost",
    text="evaluation was lost, and with it the forecast of an epoch: TypeError: forward() takes 2 arguments",
)
LOST_PART = document(
    reference(step_speedup=judged(1.0, 1.0, 1.0, "reference")),
    row(
        "convnext/amp",
        20.94,
        epoch_time_s=None,
        generations=0,
        step_speedup=judged(1.342, 1.29, 1.4, "faster"),
        notes=(LOST,),
        unavailable={
            "evaluation": "failed", "render_samples": "timeout", "losses": "no_memory",
            "epoch_time_s": "failed", "full_epoch": "killed", "partial_batch": "not_supported",
            "power_w": "no_data",
        },
    ),
)  # fmt: skip
DOCUMENTS = {
    "two_rows": TWO_ROWS,
    "four_rows": FOUR_ROWS,
    "inconclusive": INCONCLUSIVE,
    "interrupted": INTERRUPTED,
    "on_gpu": ON_GPU,
    "batches": BATCHES,
    "device_clock": DEVICE_CLOCK,
    "lost_part": LOST_PART,
    "one_row": replace(TWO_ROWS, rows=TWO_ROWS.rows[:1]),
}
"""What the golden files are made from."""
