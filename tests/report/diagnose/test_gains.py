"""Remedies in words: what is predicted, whether it came true, which to try first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_diagnoses import DECODE
from report_remedies import CACHE, HALF, LESS_OFTEN, MORE_WORKERS, PREFETCH

from perfkit.document import Diagnosis, Remedy, Verdict
from perfkit.report.diagnose import gains, sentences, spoken
from perfkit.stats import Interval

S = (1.0, "s")


@pytest.mark.parametrize(
    ("predicted", "measured", "said"),
    [
        (Interval(2.0, 1.8, 2.2), Interval(1.9, 1.85, 1.95), "as predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7, 1.6, 1.8), "as predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7, 1.6, 1.79), "missed: less than predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(2.4, 2.3, 2.5), "missed: more than predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7), "missed: less than predicted"),
        (Interval(2.0), Interval(1.81), "as predicted"),
        (Interval(2.0), Interval(1.79), "missed: less than predicted"),
        (Interval(2.0), Interval(1.7, 1.3, 2.1), "as predicted"),
        (Interval(1.07), Interval(1.05, 1.04, 1.06), "as predicted"),
        (Interval(1.07), Interval(1.0, 0.98, 1.02), "missed: less than predicted"),
        (None, Interval(1.7), ""),
        (Interval(2.0), None, ""),
    ],
)
def test_a_prediction_holds_where_intervals_meet(
    predicted: Interval | None, measured: Interval | None, said: str
) -> None:
    """Else it is a miss, and which way; without an interval a tenth is allowed, but not all of a gain."""
    remedy = replace(MORE_WORKERS, predicted_speedup=predicted, measured_speedup=measured)
    assert gains.verified(remedy) == said


def test_a_bound_is_held_or_broken() -> None:
    """Less than a bound is what a bound says; slower than now is not."""
    held = replace(CACHE, measured_speedup=Interval(1.1, 1.05, 1.15))
    assert gains.verified(held) == "within the bound"
    slower = replace(CACHE, measured_speedup=Interval(0.9, 0.85, 0.95))
    assert gains.verified(slower) == "missed: less than predicted"
    assert gains.predicted(CACHE) == "up to 2.28×"
    assert gains.saves(CACHE, S) == "up to 15.0 s"


def test_a_gain_is_a_sentence() -> None:
    """What is known of it, how, and what is not known is said."""
    assert gains.sentence(MORE_WORKERS, S) == (
        "num_workers=6: 2.2× [2.0–2.4], saves 14.6 s [13.2–15.4] an epoch (calculated)"
    )
    assert gains.sentence(CACHE, S) == "cache decoded: up to 2.28×, saves up to 15.0 s an epoch"
    assert gains.sentence(PREFETCH, S) == "prefetch_factor=4; what it gains is not known"
    run = replace(MORE_WORKERS, measured_speedup=Interval(2.09, 2.01, 2.17))
    assert gains.sentence(run, S).startswith(
        "num_workers=6: 2.09× [2.01–2.17], measured; predicted"
    )


def in_turn(*remedies: Remedy, primary: str = "input_bound") -> list[Remedy]:
    """What is tried of them where decoding is the primary verdict."""
    decoding = Verdict(
        kind="input_bound",
        stage="decode",
        severity="high",
        share=Interval(0.5),
        seconds_per_epoch=1.0,
    )
    return gains.to_try(Diagnosis(primary=primary, verdicts=(decoding,), remedies=remedies))


def test_what_to_try_first() -> None:
    """What leaves the training as it is; of what has run what gained most, never what gained nothing."""
    assert in_turn() == []
    assert in_turn(HALF, LESS_OFTEN) == [LESS_OFTEN, HALF]
    assert in_turn(HALF) == [HALF]
    slower = replace(MORE_WORKERS, measured_speedup=Interval(0.97, 0.95, 0.99))
    better = replace(CACHE, measured_speedup=Interval(1.5, 1.4, 1.6))
    assert in_turn(slower, LESS_OFTEN) == [LESS_OFTEN]
    assert in_turn(slower, LESS_OFTEN, better) == [better, LESS_OFTEN]
    assert in_turn(slower) == []


def test_what_ran_in_few_generations_is_told_by_its_value() -> None:
    """Wide intervals: what came out slower is not advised, nor before what surely gained."""
    slower = replace(MORE_WORKERS, measured_speedup=Interval(0.9, 0.5, 1.5))
    unsure = replace(CACHE, measured_speedup=Interval(1.5, 0.2, 11.5))
    sure = replace(PREFETCH, measured_speedup=Interval(1.1, 1.05, 1.15))
    assert in_turn(slower, unsure) == [unsure]
    assert in_turn(slower, unsure, sure) == [sure, unsure]


def test_what_answers_the_primary_verdict_is_tried_before() -> None:
    """By its kind, or by its stage; what has run and gained comes before all."""
    by_kind = replace(CACHE, answers=("input_bound",))
    by_stage = replace(CACHE, answers=("contended", "input_bound/decode"))
    elsewhere = replace(CACHE, answers=("input_bound/storage", "contended"))
    assert in_turn(LESS_OFTEN, by_kind) == [by_kind, LESS_OFTEN]
    assert in_turn(LESS_OFTEN, by_stage) == [by_stage, LESS_OFTEN]
    assert in_turn(LESS_OFTEN, elsewhere) == [LESS_OFTEN, elsewhere]
    assert in_turn(LESS_OFTEN, by_kind, primary="balanced") == [LESS_OFTEN, by_kind]
    changing = replace(HALF, answers=("input_bound",))
    assert in_turn(LESS_OFTEN, changing, by_kind) == [by_kind, changing, LESS_OFTEN]
    ran = replace(MORE_WORKERS, measured_speedup=Interval(1.5, 1.4, 1.6))
    assert in_turn(LESS_OFTEN, by_kind, ran) == [ran, by_kind, LESS_OFTEN]


def test_next_and_what_is_told_meanwhile_begin_with_it() -> None:
    """Whatever the remedies' rank, which the list of them keeps."""
    assert DECODE.diagnosis is not None
    cache = replace(CACHE, answers=("input_bound/decode",))
    diagnosis = replace(DECODE.diagnosis, remedies=(LESS_OFTEN, MORE_WORKERS, cache))
    shown = replace(DECODE, diagnosis=diagnosis)
    assert sentences.box(shown)[2] == ("Next", gains.sentence(cache, S))
    tries = [line for line in spoken.lines(shown) if line.startswith("  try ")]
    assert tries == [f"  try {gains.sentence(one, S)}" for one in (cache, LESS_OFTEN)]


def test_an_interval_that_is_rounding_is_not_told() -> None:
    """What three runs of one sum differ by; one that reads otherwise is."""
    narrow = Interval(0.3235, 0.3235 - 1e-9, 0.3235 + 1e-9)
    told = replace(LESS_OFTEN, predicted_speedup=Interval(1.325, 1.325, 1.325), saves_s=narrow)
    assert gains.sentence(told, S) == (
        "metrics_every=20: 1.32×, saves 0.324 s an epoch (calculated)"
    )
    wide = replace(told, saves_s=Interval(0.3235, 0.32, 0.327))
    assert "0.324 s [0.320–0.327]" in gains.sentence(wide, S)


@pytest.mark.parametrize(
    ("name", "variant", "said"),
    [
        ("num_workers", "num_workers=6", "num_workers=6"),
        ("remove_sync", None, "remove sync"),
        ("lighter_arch", "baseline", "lighter arch: baseline"),
    ],
)
def test_a_remedy_is_called_by_its_variant(name: str, variant: str | None, said: str) -> None:
    """A name that the variant does not hold stands before it."""
    assert gains.name_of(Remedy(name=name, variant=variant, basis="bound")) == said


@pytest.mark.parametrize(
    ("snippet", "language"),
    [
        ("export OMP_WAIT_POLICY=passive", "sh"),
        ("OMP_WAIT_POLICY=passive python train.py", "sh"),
        ("\ntorchrun --nproc-per-node 2 train.py", "sh"),
        ("perfkit bench", "sh"),
        ("python_loader = DataLoader()", "python"),
        ("with torch.autocast('cuda'):\n    pass", "python"),
    ],
)
def test_lines_to_paste_have_a_language(snippet: str, language: str) -> None:
    """A shell's are told from Python's by how they begin."""
    assert gains.language(snippet) == language
