"""How far two loss traces lie apart, and how far rounding takes FP32's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_engine import row
from hypothesis import given
from hypothesis import strategies as st

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.engine.results import ProcessResult
from perfkit.study.losses import FACTOR, distance, held_against_fp32, tolerance, unit_roundoff

TRACES = st.lists(st.floats(0.1, 100), min_size=3, max_size=6)


def test_distance_is_the_largest_of_any_step_in_units_of_the_first() -> None:
    """0.3 apart at the second step, of a first loss of 2: 15 %."""
    assert distance([2.0, 1.3, 0.1], [2.0, 1.0, 0.0]) == pytest.approx(0.15)


def test_near_zero_a_small_difference_stays_small() -> None:
    """Where the loss has come down to nearly nothing, ten times nearly nothing is still nearly nothing."""
    assert distance([4.0, 1e-4], [4.0, 1e-5]) == pytest.approx(9e-5 / 4)


def test_distance_needs_a_common_step() -> None:
    """No losses, or a first loss of zero, give no distance."""
    assert distance([], [1.0]) is None
    assert distance([1.0], []) is None
    assert distance([1.0], [0.0]) is None


def test_tolerance_is_what_perturbed_arithmetic_does() -> None:
    """The farthest of the perturbed traces from the plain one, by the factor: 0.1 of a first loss of 2."""
    plain = [2.0, 1.0]
    assert tolerance(plain, [[2.0, 1.05], [2.0, 0.8]]) == pytest.approx(FACTOR * 0.1)


def test_nothing_perturbed_gives_no_tolerance() -> None:
    """Nothing is filled in."""
    assert tolerance([2.0, 1.0], []) is None
    assert tolerance([], [[1.0]]) is None


@pytest.mark.parametrize(
    ("variant", "device", "size"),
    [
        ("fp32", "cpu", 2.0**-24),
        ("fp32+compile+channels_last", "cuda:0", 2.0**-24),
        ("tf32", "cuda:0", 2.0**-11),
        ("bf16", "cpu", 2.0**-8),
        ("bf16+compile", "cuda:0", 2.0**-8),
        ("amp", "cpu", 2.0**-8),
        ("amp", "cuda:0", 2.0**-11),
    ],
)
def test_rounding_of_a_precision(variant: str, device: str, size: float) -> None:
    """Half a unit in the last place of what the row computes in; amp is fp16 on CUDA, bf16 elsewhere."""
    config = RunConfig(arch="x", variants=variants.parse(variant), devices=(device,))
    assert unit_roundoff(config) == size


def test_a_strangers_precision_has_no_rounding_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known is not guessed: its losses have a distance and no tolerance."""
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "posit.py").write_text('"""Posits."""\nSTAGE = "precision"\n')
    monkeypatch.setenv("PERFKIT_PATH", str(tmp_path))
    assert unit_roundoff(RunConfig(arch="x", variants=(("posit", None),))) is None


def test_a_row_is_held_against_its_twin_at_its_own_precision() -> None:
    """bf16 by what 2⁻⁸ does, compiled FP32 by what 2⁻²⁴ does; both traces may be of different generations."""
    fp32, bf16, compiled = row("x/fp32"), row("x/bf16"), row("x/fp32+compile")
    theirs = _examined(
        "x/fp32", [2.0, 1.0], {repr(2.0**-8): [[2.0, 1.1]], repr(2.0**-24): [[2.0, 1.0001]]}
    )
    ours = _examined("x/bf16", [2.0, 1.3], {})
    unexamined = ProcessResult(key="x/fp32", status="ok")
    held = held_against_fp32(bf16, fp32, [ours], [unexamined, theirs])
    assert held == pytest.approx({"distance": 0.15, "tolerance": FACTOR * 0.05})
    held = held_against_fp32(compiled, fp32, [ours], [theirs])
    assert held["tolerance"] == pytest.approx(FACTOR * 0.00005)
    assert held_against_fp32(bf16, fp32, [], [theirs]) == {}


def test_losses_of_an_earlier_version_have_no_tolerance() -> None:
    """It stored FP32's traces of three seeds: the first one is what rows are held against."""
    fp32, bf16 = row("x/fp32"), row("x/bf16")
    seeds = {"10": [9.0, 9.0], "2": [2.0, 1.0]}
    theirs = ProcessResult(key="x/fp32", status="ok", examined={"losses": seeds})
    held = held_against_fp32(bf16, fp32, [_examined("x/bf16", [2.0, 1.3], {})], [theirs])
    assert held == {"distance": pytest.approx(0.15), "tolerance": None}


@given(TRACES)
def test_a_trace_is_no_distance_from_itself(trace: list[float]) -> None:
    """The distance to itself is zero."""
    assert distance(trace, trace) == 0


@given(TRACES, st.floats(1.01, 3))
def test_the_unit_of_the_loss_does_not_matter(trace: list[float], unit: float) -> None:
    """Both traces in another unit are as far apart as before."""
    other = [value * 1.1 for value in trace]
    scaled = distance([v * unit for v in other], [v * unit for v in trace])
    assert scaled == pytest.approx(distance(other, trace))


@given(TRACES, st.lists(TRACES, min_size=1, max_size=4), TRACES)
def test_another_perturbation_never_narrows_the_tolerance(
    plain: list[float], traces: list[list[float]], another: list[float]
) -> None:
    """The tolerance of more traces is at least that of fewer."""
    assert (tolerance(plain, [*traces, another]) or 0) >= (tolerance(plain, traces) or 0)


def _examined(
    key: str, trace: list[float], perturbed: dict[str, list[list[float]]]
) -> ProcessResult:
    found = {"losses": {"0": trace}, "perturbed": perturbed}
    return ProcessResult(key=key, status="ok", examined=found)
