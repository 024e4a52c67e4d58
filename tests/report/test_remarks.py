"""What stands below the answer."""

from __future__ import annotations

from report_documents import CPU, METHOD, ON_GPU, TWO_ROWS, document, failed, reference, row

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


def test_compiling_shows_its_price() -> None:
    """A compiled row says what its first step took and when that is paid back."""
    slow = row("convnext/fp32+compile", startup_s={"first_step": 40.0})
    paid = row(
        "convnext/amp+compile", startup_s={"first_step": 40.0}, compile_break_even_epochs=12.4
    )
    assert notes(slow) == ["the first step, with compiling, took 40.0 s"]
    assert notes(paid)[0].endswith("; it has paid for itself after 12 epochs")


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
