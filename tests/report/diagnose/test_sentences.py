"""The headline and the three lines below it, of every kind of verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from diagnosis_builders import BASE, around, verdict
from report_diagnoses import BALANCED, CONTENDED, DECODE, INCONCLUSIVE, NAIVE

from perfkit.document import Document, NaiveReading
from perfkit.report.diagnose import sentences
from perfkit.stats import Interval


def with_verdict(shown: Document, kind: str, **more: Any) -> Document:
    assert shown.diagnosis is not None
    found = verdict(kind, "high", around(0.4, 0.02), 10.62, **more)
    diagnosis = replace(shown.diagnosis, primary=kind, verdicts=(found,), remedies=())
    return replace(shown, diagnosis=diagnosis)


def because(why: str, **changes: Any) -> list[tuple[str, str]]:
    assert INCONCLUSIVE.diagnosis is not None
    diagnosis = replace(INCONCLUSIVE.diagnosis, inconclusive_because=why)
    return sentences.box(replace(INCONCLUSIVE, diagnosis=diagnosis, **changes))


def test_the_headline_tells_cost_step_and_stage() -> None:
    """Share of the epoch, seconds of every step with their error, and the stage with its workers."""
    assert sentences.headline(DECODE) == (
        "Data loading costs 58 % of the epoch: 38.2 ± 0.8 ms of every 62.5 ms step; JPEG decoding in"
        " 2 workers is the stage."
    )


def test_the_headline_tells_the_function_that_makes_batches() -> None:
    """Where most of that was seen in one."""
    shown = with_verdict(DECODE, "input_bound", stage="decode", where="augment (data.py:12)")
    assert sentences.headline(shown).endswith(
        "JPEG decoding in 2 workers is the stage, most of it in augment (data.py:12)."
    )


@pytest.mark.parametrize(
    ("kind", "stage", "said"),
    [
        ("input_bound", "storage", "; reading samples from storage in 2 workers is the stage."),
        ("input_bound", "transfer", "; handing batches over from worker to trainer is the stage."),
        ("input_bound", "collate", "; putting batches together (collate) in 2 workers is the stage."),
        ("input_bound", None, "of every 62.5 ms step."),
        ("contended", "full", "; 2 workers and the trainer want more than the cores there are."),
        ("contended", "fighting", "are in each other's way, though cores are left."),
        ("sync_bound", "train.py:88", "; it is train.py:88."),
        ("compute_bound", "near_roofline", "26.5 ± 1.3 ms of every 62.5 ms step; near roofline."),
        ("periodic_bound", "metrics", "40 % of the epoch: 10.6 ± 0.5 s of 26.6 s; most of it is metrics."),
        ("startup_bound", "worker_start", "; most of it is worker start."),
        ("periodic_bound", "make_plots (_my_train.py:14)", "; most of it is make_plots (_my_train.py:14)."),
        ("untracked", None, "Time that nothing here accounts for takes 40 %"),
        ("untracked", "get_batch (my_train.py:13)", "; most of it is in get_batch (my_train.py:13)."),
        ("untracked", "get_batch (my_train.py:13)", "Work beside loading, computing and updating takes 40 %"),
        ("slow_disk", None, "Slow disk costs 40 % of the epoch: 10.6 ± 0.5 s of 26.6 s."),
    ],
)  # fmt: skip
def test_every_kind_has_a_headline(kind: str, stage: str | None, said: str) -> None:
    """By the step where every step pays, by the epoch where not; a rule of somebody's own has its name."""
    assert said in sentences.headline(with_verdict(DECODE, kind, stage=stage))


@pytest.mark.parametrize(
    ("base", "arch", "variant", "said"),
    [
        ({"num_workers": 0}, "convnext", "fp32", "JPEG decoding in the training process is"),
        ({"num_workers": 1}, "convnext", "fp32", "JPEG decoding in 1 worker is"),
        ({}, "convnext", "fp32+num_workers=4", "JPEG decoding in 4 workers is"),
        ({"data": "folder:/x"}, "timm:resnet18", "fp32", "image decoding in 2 workers is"),
        ({"workload": {"data": "memory"}}, "convnext", "fp32", "; decoding in 2 workers is"),
        ({}, "train.py:factory", "fp32", "; decoding in 2 workers is"),
        ({"num_workers": None}, "convnext", "fp32", "JPEG decoding is"),
    ],
)
def test_a_stage_says_no_more_than_is_known(
    base: dict[str, Any], arch: str, variant: str, said: str
) -> None:
    """Where it decodes is the row's setting; what it decodes is known of built-in workloads alone."""
    row = replace(DECODE.rows[0], arch=arch, variant=variant)
    assert said in sentences.headline(replace(DECODE, base=BASE | base, rows=(row,)))


def test_without_steps_the_headline_tells_the_epoch() -> None:
    """Where a step's time is not known, nothing is said of steps; where nothing is, only the share."""
    row = replace(DECODE.rows[0], phases_s={})
    shown = replace(with_verdict(DECODE, "input_bound"), rows=(row,))
    assert sentences.headline(shown).endswith("of the epoch: 10.6 ± 0.5 s of 26.6 s.")
    assert shown.diagnosis is not None
    bare = replace(row, epoch_time_s=None)
    shown = replace(shown, rows=(bare,), diagnosis=replace(shown.diagnosis, breakdown_s={}))
    assert sentences.headline(shown) == "Data loading costs 40 % of the epoch."


def test_an_interval_that_is_missing_is_left_out() -> None:
    """No error is no plus-minus of nothing."""
    assert DECODE.diagnosis is not None
    first = replace(DECODE.diagnosis.verdicts[0], share=Interval(0.5755))
    shown = replace(DECODE, diagnosis=replace(DECODE.diagnosis, verdicts=(first,)))
    assert "58 % of the epoch: 38.2 ms of every 62.5 ms step;" in sentences.headline(shown)


def test_three_lines() -> None:
    """What, why, and what to do, with the command that does it."""
    assert [label for label, _ in sentences.box(DECODE)] == ["Verdict", "Why", "Next", "Next"]
    assert sentences.box(DECODE)[0][1] == "input_bound/decode: high, too few workers"
    assert sentences.box(DECODE)[3][1] == "perfkit bench --num-workers 2 --sweep num_workers=2,6"
    assert [label for label, _ in sentences.box(CONTENDED)] == ["Verdict", "Why", "Next"]
    bare = sentences.box(with_verdict(DECODE, "h2d_bound"))
    assert bare[1:] == [
        ("Why", "no witness is named"),
        ("Next", "no remedy that is known here is predicted to save anything"),
    ]


def test_balanced_shows_its_rates_and_what_shows_more() -> None:
    """Why it is balanced are three rates; a change that is no part of the row is named to try."""
    _, why, following = sentences.box(BALANCED)
    assert why[1].startswith("The loader alone delivers 371 samples/s, computing alone takes 359,")
    assert following[1].endswith("perfkit bench --arch convnext --variant amp")
    row = replace(BALANCED.rows[0], variant="amp")
    assert sentences.box(replace(BALANCED, rows=(row,)))[2][1].endswith("--variant channels_last")


@pytest.mark.parametrize(
    ("why", "before", "after"),
    [
        (
            "Blocks were disturbed. Run again: perfkit diagnose --seed 1",
            "Blocks were disturbed.",
            "Run again: perfkit diagnose --seed 1",
        ),
        (
            "blocks were disturbed; try --time-budget 120",
            "blocks were disturbed.",
            "Try --time-budget 120",
        ),
        (
            "three palindromes, six are needed: perfkit diagnose --seed 1",
            "three palindromes, six are needed.",
            "perfkit diagnose --seed 1",
        ),
        (
            "load ran beside 14 of 36 blocks: diagnose again when the machine is quiet",
            "load ran beside 14 of 36 blocks.",
            "Diagnose again when the machine is quiet",
        ),
        (
            "no cause is large: it trains 340 samples a second; a longer --time-budget tells more",
            "no cause is large: it trains 340 samples a second.",
            "A longer --time-budget tells more",
        ),
        ("it needs --operators", "it needs --operators", "run what is named above"),
        (
            "two witnesses disagree",
            "two witnesses disagree",
            "to conclude: perfkit diagnose --num-workers 2 --time-budget 120",
        ),
    ],
)
def test_inconclusive_says_what_to_run(why: str, before: str, after: str) -> None:
    """The reason and the command in it are two lines; a reason without one gets a longer study."""
    assert because(why) == [("Verdict", "inconclusive"), ("Why", before), ("Next", after)]


def test_a_time_that_was_told_is_replaced() -> None:
    """The longer study has one budget, twice the last one in tens of seconds."""
    found = because(
        "x", command="perfkit diagnose --time-budget=90 --seed 1", method={"budget_s": 92}
    )
    assert found[-1] == ("Next", "to conclude: perfkit diagnose --seed 1 --time-budget 190")
    assert because("x", method={})[-1] == ("Next", "give it more time: a larger --time-budget")


@pytest.mark.parametrize(
    ("blames", "is_right", "said"),
    [
        ("loader", False, "61 % utilisation blames the loader, which is wrong here: why"),
        ("model", True, "61 % utilisation blames the model, which is right here: why"),
        (None, True, "61 % utilisation blames nothing, which is right here: why"),
    ],
)
def test_the_naive_reading_is_a_line(blames: Any, is_right: bool, said: str) -> None:
    """What nvidia-smi alone suggests, and whether that is right."""
    reading = NaiveReading(gpu_util_share=0.61, blames=blames, is_right=is_right, why="why")
    assert NAIVE.diagnosis is not None
    shown = replace(NAIVE, diagnosis=replace(NAIVE.diagnosis, naive_nvidia_smi=reading))
    assert sentences.naive(shown) == said
    assert sentences.naive(DECODE) == ""


@pytest.mark.parametrize(
    ("made_s", "needed", "now", "said"),
    [
        (0.12, 4, 1, "4 workers would keep up with the training; there is 1 now"),
        (0.09, 3, 2, "3 workers would keep up with the training; there are 2 now"),
        (
            0.091, 3, 2,
            "no number keeps up with the training: the cores have room for 3 beside it; there are 2 now",
        ),
        (
            0.12, 1, 1,
            "no number keeps up with the training: the cores have room for 1 beside it; there is 1 now",
        ),
    ],
)  # fmt: skip
def test_workers_that_the_cores_cap_do_not_keep_up(
    made_s: float, needed: int, now: int, said: str
) -> None:
    """A step with its batch there takes 30 ms, by the rate of computing or else by a step less its waits."""
    assert DECODE.diagnosis is not None
    loader: dict[str, float | None] = {
        "fetch_s": made_s - 0.002,
        "collate_s": 0.001,
        "handover_s": 0.001,
    }
    phases = {"waiting": 0.05, "transfer": 0.01, "forward": 0.02, "other": 0.01}
    row = replace(DECODE.rows[0], loader=loader, phases_s=phases)
    for rate in (16 / 0.03, None):
        found = replace(DECODE.diagnosis, workers_needed=needed, compute_samples_per_sec=rate)
        shown = replace(DECODE, base=BASE | {"num_workers": now}, rows=(row,), diagnosis=found)
        assert sentences.workers(shown) == said
