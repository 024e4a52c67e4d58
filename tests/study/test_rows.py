"""From results to rows: every number by hand, every status typed, every null with its reason."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import pytest
from fake_engine import block, generation, row

from perfkit.document import Row, Status
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.study.rows import make_rows, windows

FP32, AMP, COMPILED = row("x/fp32"), row("x/amp"), row("x/fp32+compile")
STATUSES = get_args(Status)
FAILURES = [status for status in STATUSES if status != "ok"]


def process(key: str, step_s: float = 0.1, **changes: Any) -> ProcessResult:
    steps = (replace(block(0, 0, step_s), exposed_wait_s=None), block(1, 0, step_s))
    finished = ProcessResult(key=key, status="ok", blocks=steps, memory={"peak_rss_bytes": 1000})
    return replace(finished, **changes)


def failed(key: str, status: Status) -> ProcessResult:
    return ProcessResult(key=key, status=status, message=f"planted {status}")


def made(
    *results: GenerationResult, of: tuple[Any, ...] = (FP32, AMP), **telemetry: Any
) -> list[Row]:
    return list(make_rows(of, results, telemetry))


def test_numbers_by_hand() -> None:
    """Ten steps of 0.1 s and 16 samples: epoch, rate, spread, phases, share of our own cost."""
    reference, amp = made(generation(process("x/fp32"), process("x/amp", 0.05)))
    assert reference.epoch_time_s is not None and reference.epoch_time_s.value == pytest.approx(1.0)
    assert reference.samples_per_sec == pytest.approx(160)
    assert reference.step_time_s is not None and reference.step_time_s.median == pytest.approx(0.1)
    assert reference.phases_s == pytest.approx({"data_wait": 0.01, "forward": 0.09})
    assert reference.exposed_wait_s == pytest.approx(0.01)
    assert reference.overhead_share == pytest.approx(1e-6 / 0.1)
    assert (reference.generations, reference.steps_measured) == (1, 20)
    assert amp.generation_speedup == pytest.approx((2.0,))
    assert amp.memory_ratio == 1.0


def test_parts_add_up_to_the_epoch() -> None:
    """The parts shown sum to the epoch shown, also where processes differ."""
    edges = [
        {"evaluation": e, "periodic": {"plot": {"run_s": 1.0, "every": 4}}} for e in (0.2, 0.4)
    ]
    results = [generation(process("x/fp32", 0.1 * n, edges=edges[n - 1]), number=n) for n in (1, 2)]
    (only,) = made(*results, of=(FP32,))
    assert only.epoch_parts_s == pytest.approx({"steps": 1.5, "evaluation": 0.3, "plot": 0.25})
    assert only.epoch_time_s is not None
    assert sum(only.epoch_parts_s.values()) == pytest.approx(only.epoch_time_s.value)


PARTS = ("evaluation", "epoch_start", "losses", "flops_per_sample", "full_epoch", "edges", "memory")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("in_generations", [(1,), (2,), (1, 2)])
def test_a_reason_never_stands_beside_a_value(part: str, in_generations: tuple[int, ...]) -> None:
    """Whatever some processes lost or could not tell, and telemetry that was missing for a while."""
    why = {part: "failed", "gemm_ceiling_share": "no_memory", "peak_rss_bytes": "no_permission"}
    results = []
    for number in (1, 2, 3):
        found = process("x/fp32", edges={"evaluation": 0.2}, examined={"flops_per_sample": 10})
        if number in in_generations:
            found = replace(found, lost={part: "planted"}, unavailable=why)
        results.append(generation(found, number=number))
    telemetry = ({"cpu_busy_share": 0.5, "gpu_util_share": None}, {"cpu_busy_share": "no_data"})
    (only,) = make_rows((FP32,), results, {"x/fp32": telemetry})
    told = {name: getattr(only, name) for name in only.unavailable if hasattr(only, name)}
    for values in (only.telemetry, only.memory, only.epoch_parts_s, only.startup_s, only.loss):
        told |= {name: value for name, value in values.items() if name in only.unavailable}
    assert {name for name, value in told.items() if value is not None} == set()
    assert "gpu_util_share" in told and "peak_rss_bytes" not in told


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_is_a_row_of_its_kind(status: Status) -> None:
    """A row that failed at once has its status, its message and a reason for every number it lacks."""
    amp = made(generation(process("x/fp32"), failed("x/amp", status)))[1]
    assert (amp.status, amp.message) == (status, f"planted {status}")
    reason = "not_supported" if status == "unsupported" else "no_data"
    for name in (
        "epoch_time_s",
        "step_time_s",
        "samples_per_sec",
        "speedup",
        "peak_rss_bytes",
        "mfu",
    ):
        assert getattr(amp, name) is None
        assert amp.unavailable[name] == reason


@pytest.mark.parametrize("status", sorted(set(FAILURES) - {"oom"}))
def test_a_late_failure_keeps_the_numbers(status: Status) -> None:
    """Two good generations and a failure: the status says so, the numbers are of the two."""
    results = [
        *(generation(process("x/fp32"), process("x/amp"), number=n) for n in (1, 2)),
        generation(process("x/fp32"), failed("x/amp", status), number=3),
    ]
    amp = made(*results)[1]
    assert (amp.status, amp.generations) == (status, 2)
    assert amp.epoch_time_s is not None


def test_blocks_of_a_process_that_failed_do_not_count() -> None:
    """What a process measured before it was killed is not mixed with the whole ones."""
    half = replace(failed("x/fp32", "killed"), blocks=process("x/fp32", 9.0).blocks)
    (only,) = made(generation(process("x/fp32")), generation(half, number=2), of=(FP32,))
    assert only.steps_measured == 20
    assert only.samples_per_sec == pytest.approx(160)


def test_a_row_that_was_never_run_says_so() -> None:
    """A study that ended early has rows without processes: an error that says why."""
    amp = made(generation(process("x/fp32")))[1]
    assert amp.status == "error" and "not run" in (amp.message or "")


def test_every_null_has_a_reason() -> None:
    """No value of a measured row is null without a word why."""
    for measured in made(generation(process("x/fp32"), process("x/amp"))):
        for name in ("gpu_util_share", "mfu", "gemm_ceiling_share", "peak_allocated_bytes"):
            assert getattr(measured, name) is None
            assert measured.unavailable[name]


def test_reasons_of_a_process_and_of_telemetry_are_kept() -> None:
    """A reason that was given is not replaced by a guess."""
    told = process("x/fp32", unavailable={"flops_per_sample": "not_on_meta"})
    telemetry = {"x/fp32": ({"gpu_util_share": None}, {"gpu_util_share": "no_permission"})}
    (only,) = made(generation(told), of=(FP32,), **telemetry)
    assert only.unavailable["gpu_util_share"] == "no_permission"
    assert only.unavailable["flops_per_sample"] == "not_on_meta"


def test_shares_of_peak_and_ceiling() -> None:
    """160 samples/s of 10 FLOP each is 1600 FLOP/s; an unknown peak leaves MFU null."""
    examined = {"flops_per_sample": 10, "gemm_flops_per_sec": 6400.0, "peak_flops_per_sec": None}
    (only,) = made(generation(process("x/fp32", examined=examined)), of=(FP32,))
    assert only.gemm_ceiling_share == pytest.approx(0.25)
    assert (only.mfu, only.unavailable["mfu"]) == (None, "unknown_peak")
    (only,) = made(
        generation(process("x/fp32", examined={**examined, "peak_flops_per_sec": 16000.0})),
        of=(FP32,),
    )
    assert only.mfu == pytest.approx(0.1)


def test_peaks_are_the_highest_of_any_process() -> None:
    """A peak is a maximum: missing values of one process do not lower another's."""
    peaks = [{"peak_rss_bytes": 900, "x": None}, {"peak_rss_bytes": 1200, "x": 5}, {"x": None}]
    results = [
        generation(process("x/fp32", memory=peak), number=n)
        for n, peak in enumerate(peaks, start=1)
    ]
    (only,) = made(*results, of=(FP32,))
    assert (only.peak_rss_bytes, only.memory) == (1200, {"x": 5})


def test_compiling_pays_for_itself_after_so_many_epochs() -> None:
    """30 s of compiling against 0.5 s saved in each epoch: 60 epochs; the cold first one counts."""
    results = [
        generation(
            process("x/fp32", 0.1, startup_s={"first_step": 1.0}),
            process("x/fp32+compile", 0.05, startup_s={"first_step": 31.0 if n == 0 else 6.0}),
            number=n + 1,
        )
        for n in range(4)
    ]
    compiled = made(*results, of=(FP32, COMPILED))[1]
    assert compiled.startup_s == {"first_step_cold": 31.0, "first_step": 6.0}
    assert compiled.compile_break_even_epochs == pytest.approx(60)
    assert made(*results[:3], of=(FP32, COMPILED))[1].compile_break_even_epochs is None


def test_what_happened_before_steps_and_beside_them() -> None:
    """Phases with their clock, unready batches and run delay are means over all steps of a row."""
    plain = process("x/fp32").blocks[0]
    phases = {"waiting": 0.02, "transfer": 0.01, "forward": 0.07}
    blocks = (
        replace(
            plain,
            steps=30,
            phases_s=phases,
            phases_clock="host",
            not_ready_share=0.4,
            run_delay_s=0.01,
        ),
        replace(plain, phases_s=phases, phases_clock="host", not_ready_share=0.8, run_delay_s=0.05),
    )
    (only,) = made(generation(process("x/fp32", blocks=blocks)), of=(FP32,))
    assert (only.phases_s, only.phases_clock) == (pytest.approx(phases), "host")
    assert only.not_ready_share == pytest.approx(0.5)
    assert only.run_delay_s == pytest.approx(0.02)
    (old,) = made(generation(process("x/fp32")), of=(FP32,))
    assert (old.phases_clock, old.not_ready_share, old.run_delay_s) == (None, None, None)
    assert old.unavailable["run_delay_s"] == old.unavailable["not_ready_share"] == "no_data"


def test_other_arms_are_in_no_value_of_a_row() -> None:
    """A process that replayed batches too has the row of one that did not."""
    usual = process("x/fp32")
    other = replace(
        usual.blocks[0], number=7, arm="replay_running", step_times_s=(9.0,), disturbed=True,
        steady=False, loader={"fetch_s": 9.0}, not_ready_share=1.0, own_s=9.0,
    )  # fmt: skip
    mixed = replace(usual, blocks=(*usual.blocks, other))
    assert made(generation(mixed), of=(FP32,)) == made(generation(usual), of=(FP32,))
    results = [generation(mixed)]
    assert windows(FP32.key, results) == windows(FP32.key, [generation(usual)])


def test_windows_are_the_blocks_of_a_row() -> None:
    """Telemetry is averaged over what the row had the device for, and nothing else."""
    results = [generation(process("x/fp32"), process("x/amp"))]
    blocks = results[0].processes[1].blocks
    assert windows(AMP.key, results) == [(b.start_ns, b.end_ns) for b in blocks]
    assert math.isclose((blocks[0].end_ns - blocks[0].start_ns) * 1e-9, 1.0)
