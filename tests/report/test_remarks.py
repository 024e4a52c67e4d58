"""What stands below the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_documents import (
    BATCHES,
    CPU,
    DEVICE_CLOCK,
    GPU,
    METHOD,
    ON_GPU,
    TWO_ROWS,
    document,
    failed,
    reference,
    row,
)

from perfkit.report.remarks import machine, not_available, notes, remarks, try_next


def labelled(shown: object, label: str) -> list[str]:
    """The texts under a label."""
    return [r.text for r in remarks(shown) if r.label == label]  # type: ignore[arg-type]


def test_missing_values_are_named_once_with_their_reason() -> None:
    """Two rows that lack the same value for the same reason make one line."""
    assert not_available(TWO_ROWS) == [
        "GPU utilisation, allocated device memory, reserved device memory: no GPU was in use",
        "MFU: no published peak is known for this device",
    ]


def test_a_value_that_one_row_lacks_names_the_row() -> None:
    """What only some rows lack says whose it is."""
    assert not_available(ON_GPU) == [
        "MFU of convnext/amp: no published peak is known for this device"
    ]


def test_failed_rows_miss_nothing_of_note() -> None:
    """A failed row's missing values are explained by its failure."""
    lost = failed("convnext/amp", "oom", "no memory")
    assert not_available(document(reference(unavailable={}), lost)) == []


def test_unknown_reasons_are_shown_as_they_are() -> None:
    """A reason this version has no words for is not hidden."""
    shown = document(reference(unavailable={"mfu": "the_moon_is_full"}), unavailable={"x": "y z"})
    assert not_available(shown) == ["MFU: the moon is full", "x: y z"]


def test_method_counts_what_was_run() -> None:
    """Generations, processes, blocks, time and the interval's kind."""
    assert labelled(TWO_ROWS, "Measured") == [
        "6 generations of 2 fresh processes taking turns; 48 blocks with 1240 steps; 113 s in all;"
        " intervals: 95 %, Student's t over generations"
    ]


def test_method_says_when_rows_did_not_live_side_by_side() -> None:
    """One after another is another method."""
    shown = document(reference(), method=METHOD | {"side_by_side": False})
    assert "2 fresh processes run one after another" in labelled(shown, "Measured")[0]


def test_method_needs_none_of_its_keys() -> None:
    """An empty method says nothing, and one with groups counts processes in all."""
    assert labelled(document(reference(), method={}), "Measured") == []
    uneven = document(reference(), method={"generations": 3, "processes": 7})
    assert labelled(uneven, "Measured") == ["3 generations, 7 fresh processes"]


def test_own_cost_is_the_largest() -> None:
    """The row that perfkit weighed on most is the one to tell."""
    shown = document(reference(), row("convnext/amp", overhead_share=0.0034))
    assert labelled(shown, "Own cost") == [
        "perfkit's own calls took at most 0.34 % of a row's time"
    ]


def test_utilisation_is_explained_where_it_is_shown() -> None:
    """Utilisation is time with a kernel running, and the report says so."""
    assert "at least one kernel ran" in labelled(ON_GPU, "GPU")[0]
    assert labelled(TWO_ROWS, "GPU") == []


def test_machine_leaves_out_what_is_unknown() -> None:
    """No key is needed, and a CPU is named once."""
    assert machine({}) == ""
    assert machine(CPU).count("Example CPU") == 1
    assert machine({"cores_usable": 1, "torch": "2.13.0"}) == "1 core, torch 2.13.0"
    assert machine({"cores_usable": 3, "cores_total": 64}) == "3 of 64 cores"
    assert machine({"cores_usable": 2, "cores_total": 2}) == "2 cores"


def test_compiling_shows_its_price() -> None:
    """A compiled row says what its first step took and when that is paid back."""
    slow = row("convnext/fp32+compile", startup_s={"first_step": 40.0})
    paid = row(
        "convnext/amp+compile", startup_s={"first_step": 40.0}, compile_break_even_epochs=12.4
    )
    assert notes(slow) == ["the first step, with compiling, took 40.0 s"]
    assert notes(paid)[0].endswith("; it has paid for itself after 12 epochs")


def test_compiling_with_cold_and_with_warm_caches_is_two_numbers() -> None:
    """Both first steps are named, and the one that has to be paid back is the cold one."""
    both = {"first_step_cold": 41.3, "first_step": 6.2}
    paid = row("convnext/amp+compile", startup_s=both, compile_break_even_epochs=12.4)
    assert notes(paid) == [
        "first step, cold caches: 41.3 s; first step, warm: 6.20 s; compiling with cold caches has"
        " paid for itself after 12 epochs"
    ]
    once = row("convnext/amp+compile", startup_s={"first_step_cold": 41.3})
    assert notes(once) == ["first step, cold caches: 41.3 s"]
    assert notes(row("convnext/amp+compile")) == notes(row("convnext/amp", startup_s=both)) == []


def test_a_step_says_how_it_came_by_its_batch() -> None:
    """Waiting and transfer of every row, how often the next batch was not ready, and what the words mean."""
    first, other, explained = labelled(BATCHES, "Step")
    assert "transfer 19 %" in first and "waiting 6 %" in first
    assert first.endswith("; the next batch was not ready at 3 % of the steps")
    assert other == (
        "convnext/fp32+num_workers=4: transfer 7 %, waiting 0 %; the next batch was not ready at"
        " less than 1 % of the steps"
    )
    assert explained.startswith("waiting: the batch was not there; transfer: it was there and")
    assert len(labelled(TWO_ROWS, "Step")) == 1, "older documents have one wait, and no more to say"


def test_without_workers_no_batch_is_ready_or_not() -> None:
    """A training that makes its batches itself is not told that they were not ready."""
    alone = replace(BATCHES, base={"num_workers": 0})
    first, other, _ = labelled(alone, "Step")
    assert "ready" not in first and "waiting 6 %" in first
    assert "not ready at" in other, "that row has workers of its own"


def test_a_step_on_a_device_says_whose_clock_it_is_on() -> None:
    """Where there are two clocks, the one that is meant is named; a document that is older names none."""
    assert labelled(DEVICE_CLOCK, "Step")[0].startswith("convnext/fp32, device's clock: backward")
    assert "every step" in labelled(DEVICE_CLOCK, "Step")[0]
    assert labelled(ON_GPU, "Step")[0].startswith("convnext/fp32: backward")


def test_a_row_without_an_epoch_still_shows_its_step() -> None:
    """A lost part of the epoch costs the line on the epoch alone."""
    first = replace(BATCHES.rows[0], epoch_time_s=None, epoch_parts_s={}, speedup=None)
    shown = document(first)
    assert labelled(shown, "Epoch") == []
    assert labelled(shown, "Step")[0].startswith("convnext/fp32: backward 37 %")


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("edges", "timeout", "the edges of an epoch: it did not end in the time it had"),
        ("evaluation", "failed", "evaluation: measuring it failed"),
        ("evaluation", "no_data", "evaluation: there was nothing to measure"),
        ("partial_batch", "not_supported", "partial batch: this training does not allow it"),
        ("epoch_start", "killed", "start of an epoch: its process was killed"),
        ("losses", "no_memory", "losses: there was no memory left for it"),
        ("full_epoch", "timeout", "real epoch: it did not end in the time it had"),
        ("render_samples", "failed", "render samples: measuring it failed"),
        ("gpu_util_share", "no_data", "GPU utilisation: nothing was measured in this time"),
    ],
)
def test_lost_parts_have_readable_reasons(name: str, reason: str, said: str) -> None:
    """Parts of an epoch and a user's periodic work are named in words, with what became of them."""
    shown = document(reference(unavailable={name: reason}), environment=GPU, unavailable={})
    assert not_available(shown) == [said]


def test_what_telemetry_lacks_is_left_to_the_json() -> None:
    """A value that no reader asked for is not listed for lack of data."""
    shown = document(reference(unavailable={"power_w": "no_data"}), unavailable={})
    assert not_available(shown) == []


def test_shares_of_epoch_and_step() -> None:
    """Where the reference's time goes, largest part first."""
    assert labelled(TWO_ROWS, "Epoch") == [
        "convnext/fp32: steps 95 %, evaluation 3 %, metrics 1 %, epoch start 1 %"
    ]
    assert labelled(TWO_ROWS, "Step")[0].startswith("convnext/fp32: backward 38 %, forward 29 %")


def test_what_to_try_comes_from_findings_else_from_what_has_no_row() -> None:
    """Findings come first; without any, variants are named that were not measured."""
    assert try_next(TWO_ROWS)[0].endswith("--variant num_workers=2")
    untried = document(reference(), row("convnext/amp+compile=max-autotune"))
    assert try_next(untried) == [
        "changes that have no row yet: --variant channels_last, --variant fused_optimizer"
    ]
    assert try_next(document(failed("a/fp32", "oom", "x"))) == []
