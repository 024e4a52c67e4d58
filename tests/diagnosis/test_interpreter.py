"""Handing over that waits for workers which compute: its thresholds, and what is said and advised of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, evidence
from pipelines import attributed, judged

from perfkit import discovery
from perfkit.diagnosis import interpreter
from perfkit.diagnosis.attribution import attributed as attribution_of
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import judge
from perfkit.diagnosis.predict import epoch_s, pipeline_of
from perfkit.diagnosis.rules.input_bound import check

MADE = {
    "fetch_s": 0.0169, "fetch_cpu_s": 0.0165, "collate_s": 0.001, "collate_cpu_s": 0.001,
    "serialise_cpu_s": 0.00165, "busy_share": 0.88,
}  # fmt: skip
"""Of a batch of 16 samples that one worker decodes in Python."""
HAND_S = 0.0144
EXPLAINED_S = interpreter.TIMES * 0.00165 + interpreter.FIXED_S


def handed(hand_s: float = HAND_S, workers: int = 1, **loader: float | None) -> Evidence:
    """Steps of 20.5 ms whose batch was there and took so long to be handed over."""
    facts = {k: v for k, v in (MADE | loader).items() if v is not None}
    made = evidence(
        replace(CONFIG, num_workers=workers),
        2,
        epoch_parts_s={"steps": 2.05},
        phases_s={"waiting": 0.0, "transfer": hand_s, "forward": 0.0205 - hand_s},
        exposed_wait_s=hand_s,
        not_ready_share=0.0,
        loader=facts,
    )
    return replace(made, attribution=attribution_of(made))


def held_up_s(made: Evidence) -> float:
    assert made.attribution is not None
    return interpreter.held_up_s(made, made.attribution)


def test_all_but_handing_over_itself_is_the_computing_s() -> None:
    """14.4 ms less twice the 1.65 ms that handing over computes."""
    assert held_up_s(handed()) == pytest.approx(0.0144 - 2 * 0.00165)


@pytest.mark.parametrize(
    ("hand_s", "loader", "holds"),
    [
        # no more than handing over explains, and a little more
        (EXPLAINED_S * 0.999, {}, False),
        (EXPLAINED_S * 1.001, {}, True),
        # half of a batch's making is computing, and a little less
        (0.0144, {"fetch_s": 0.034}, True),
        (0.0144, {"fetch_s": 0.0341}, False),
        # workers compute as long as handing over is late, 11.1 ms, and less than that
        (0.0144, {"fetch_s": 0.0102, "fetch_cpu_s": 0.0102}, True),
        (0.0144, {"fetch_s": 0.01, "fetch_cpu_s": 0.01}, False),
        # 1280 tensors a batch; 15 ms of sleep; two tensors beside a worker that rests
        (0.985, {"fetch_s": 0.0174, "fetch_cpu_s": 0.0174, "serialise_cpu_s": 0.697}, False),
        (0.00293, {"fetch_s": 0.0147, "fetch_cpu_s": 0.0013, "serialise_cpu_s": 0.00173}, False),
        (0.00319, {"fetch_s": 0.04, "fetch_cpu_s": 0.04, "serialise_cpu_s": 0.00137}, False),
        # not seen
        (0.0144, {"serialise_cpu_s": None}, False),
        (0.0144, {"serialise_cpu_s": float("nan")}, False),
        (0.0144, {"fetch_cpu_s": None}, False),
        (0.0144, {"fetch_s": None}, False),
        (0.0144, {"collate_cpu_s": None}, True),
    ],
)
def test_when_workers_hold_it_up(
    hand_s: float, loader: dict[str, float | None], holds: bool
) -> None:
    """At each threshold, and of trainings that were measured; else the stage stays `transfer`."""
    made = handed(min(hand_s, 0.02), **loader) if hand_s < 0.02 else _longer(hand_s, loader)
    assert (held_up_s(made) > 0) is holds
    found = check(made)
    if hand_s > 0.5 * 0.0205:
        assert found is not None
        assert found.stage == ("decode" if holds else "transfer")
        assert ("busy_interpreter" in found.flags) is holds


def _longer(hand_s: float, loader: dict[str, float | None]) -> Evidence:
    """Steps that are hardly more than handing over."""
    made = handed(**loader)
    row = replace(
        made.row,
        epoch_parts_s={"steps": 100 * (hand_s + 0.01)},
        phases_s={"waiting": 0.0, "transfer": hand_s, "forward": 0.01},
        exposed_wait_s=hand_s,
    )
    made = replace(made, row=row, attribution=None)
    return replace(made, attribution=attribution_of(made))


def test_without_workers_nobody_holds_it_up() -> None:
    """Nothing is handed over."""
    assert held_up_s(handed(workers=0)) == 0.0


def test_what_is_said() -> None:
    """Decoding is the stage, why is told, and what handing over takes beside a worker at rest stays."""
    found = check(handed())
    assert found is not None
    assert (found.kind, found.stage, found.flags) == (
        "input_bound", "decode", ("busy_interpreter",),
    )  # fmt: skip
    assert found.evidence[0] == (
        "The next batch was ready at 100 % of the steps, and taking it over took 14.4 ms of a mean step,"
        " 11.1 ms of it waiting for the worker's interpreter, which is busy decoding."
    )
    assert found.removable_s is not None
    assert found.removable_s.value == pytest.approx(100 * 0.0111)
    assert found.share == pytest.approx(0.0144 / 0.0205)
    assert "compute in Python" in found.try_next and "pack" not in found.try_next


def test_collating_holds_it_up_where_it_computes_more() -> None:
    """Its stage then, and its sentence."""
    found = check(handed(fetch_s=0.001, fetch_cpu_s=0.001, collate_s=0.0169, collate_cpu_s=0.0165))
    assert found is not None and found.stage == "collate"
    assert "which is busy collating" in found.evidence[0]


def test_workers_are_counted_as_for_decoding() -> None:
    """17.9 ms of making for steps of 6.1 ms are three workers; two cores have room for one."""
    few, many = judge(handed()), judge(replace(handed(), environment={"cores_usable": 16}))
    assert (few.primary, few.workers_needed, many.workers_needed) == ("input_bound", 1, 3)
    assert judge(handed(serialise_cpu_s=None)).workers_needed is None


def _saves(name: str, made: Evidence, judgement: Any) -> float | None:
    proposal, now = discovery.load("remedies", name).propose(made, judgement), pipeline_of(made)
    assert now is not None
    return None if proposal is None else epoch_s(now) - epoch_s(proposal.effect(now))


def test_remedies() -> None:
    """A cache takes the computing's part of the delay; packing, and other numbers of workers, none of it."""
    made = handed()
    judgement = judge(made)
    late_s = 100 * 0.0111
    assert _saves("cache_decoded", made, judgement) == pytest.approx(late_s * 16.5 / 17.5)
    for name in ("pack_tensors", "fewer_workers", "num_workers"):
        assert _saves(name, made, judgement) is None
    packs = handed(serialise_cpu_s=None)
    assert _saves("pack_tensors", packs, judge(packs)) is not None
    collates = handed(fetch_s=0.001, fetch_cpu_s=0.001, collate_s=0.0165, collate_cpu_s=0.0165)
    saved = _saves("vectorised_collate", collates, judge(collates))
    assert saved == pytest.approx(late_s * 16.5 / 17.5)


def test_more_workers_save_no_more_than_the_waits_for_late_batches() -> None:
    """3 s of waiting and 4 s of handing over that waits for decoding: workers take nothing off the latter."""
    row = {"loader": MADE | {"fetch_s": 0.1, "fetch_cpu_s": 0.1, "serialise_cpu_s": 0.005}}
    made = attributed(waiting=3.0, transfer=4.0, compute=3.0, row=row)
    saved = _saves("num_workers", made, judged("input_bound", "decode", 8))
    assert saved == pytest.approx(3.0)
