"""What the answer means, in words."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from report_documents import (
    FASTER,
    FOUR_ROWS,
    INCONCLUSIVE,
    INTERRUPTED,
    METHOD,
    ON_GPU,
    document,
    failed,
    judged,
    reference,
    row,
)

from perfkit.document import Note, Speedup
from perfkit.report.sentences import meaning


def two(speedup: Speedup, **changes: object) -> str:
    """The sentence of two rows."""
    return meaning(
        document(reference(), row("convnext/amp", 20.94, 0.42, speedup=speedup), **changes)
    )


def test_faster() -> None:
    """How much faster, how sure, and from what to what."""
    assert two(FASTER) == (
        "amp trains an epoch 1.34× as fast as fp32 [1.29–1.40]: 20.9 s instead of 28.1 s."
    )


def test_slower() -> None:
    """Slower is said so, not as a speed-up below one."""
    said = two(judged(0.871, 0.84, 0.902, "slower"))
    assert said.startswith("amp is slower than fp32: 0.87× as fast [0.84–0.90], an epoch takes")


def test_same() -> None:
    """The same is a result, with what it is the same within."""
    said = two(judged(1.004, 0.99, 1.018, "same"))
    assert said == (
        "amp and fp32 train an epoch in the same time, within 3 %: 1.004× as fast [0.990–1.018]."
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.11, "As far as that was measured, amp is 0.11× as fast as fp32: "),
        (2.1, "As far as that was measured, amp is 2.10× as fast as fp32: "),
        (0.6, "Whether amp is faster than fp32 is not settled: 0.60× as fast."),
    ],
)
def test_what_is_far_from_one_is_told_without_an_interval(value: float, said: str) -> None:
    """Ten times as slow is no open question, though an interval needs more generations."""
    assert two(judged(value, None, None, "inconclusive")).startswith(said)


def test_inconclusive_says_what_to_run() -> None:
    """The command that would settle it is the one that was run, with a larger budget."""
    said = meaning(INCONCLUSIVE)
    assert "not settled" in said
    # half-width 6.9 %, effect 4.0 %: 2.9 times the generations of 116 s
    assert said.endswith("To conclude: perfkit bench --arch convnext --amp --time-budget 360")


def test_a_pinned_number_of_generations_is_raised() -> None:
    """Who pinned generations is told how many, and the old number is replaced."""
    said = two(
        judged(1.041, 0.972, 1.115, "inconclusive"),
        command="perfkit bench --generations 6 --arch 'my net' --amp",
    )
    command = said.partition("To conclude: ")[2]
    assert shlex.split(command)[2:] == ["--arch", "my net", "--amp", "--generations", "18"]


def test_no_study_of_hours_is_suggested() -> None:
    """An interval that hopelessly holds 1 is not worth a hundred times the budget."""
    said = two(judged(1.0, 0.5, 2.0, "inconclusive"), method={"budget_s": 120.0})
    assert said.endswith("--time-budget 1200")


def test_too_few_generations_are_counted() -> None:
    """Fewer than four generations: the number is said, and how to get four."""
    rows = (
        reference(half_s=None, generations=2),
        row("convnext/amp", 20.9, None, generations=2, speedup=judged(1.3, 0.9, 2, "inconclusive")),
    )
    said = meaning(document(*rows, command="perfkit bench --amp --generations=2"))
    assert "An interval needs 4 generations, and there were 2" in said
    assert said.endswith("perfkit bench --amp --generations 4")
    warned = document(*rows, warnings=(Note(code="too_few_generations", text="try more"),))
    assert meaning(warned).endswith("and there were 2.")


def test_the_fastest_of_many_is_named_first() -> None:
    """Many rows: the fastest, then the others by outcome."""
    assert meaning(ON_GPU).startswith(
        "amp+compile has the fastest epoch: 49.8 s instead of 112 s with fp32, 2.257× as fast"
    )
    assert "Also faster: amp 1.837× [1.829–1.845]." in meaning(ON_GPU)


def test_rows_without_figures_are_named() -> None:
    """Failed rows are named with their status."""
    assert meaning(FOUR_ROWS).endswith(
        "Not compared: convnext/bf16+batch_size=4096 (oom), baseline/tf32 (unsupported);"
        " the notes say why."
    )


def test_every_outcome_of_many() -> None:
    """Slower, same and unsettled rows are listed by name."""
    said = meaning(
        document(
            reference(),
            row("convnext/a", speedup=judged(0.8, 0.78, 0.82, "slower")),
            row("convnext/b", speedup=judged(1.0, 0.99, 1.01, "same")),
            row("convnext/c", speedup=judged(1.1, 0.9, 1.3, "inconclusive")),
        )
    )
    assert said.startswith("No row was shown to be faster than fp32.")
    assert "Slower: a 0.80× [0.78–0.82]." in said
    assert "The same within 3 %: b 1.000× [0.990–1.010]." in said
    assert "Not settled: c 1.1× [0.9–1.3]." in said


def test_a_failed_reference_leaves_nothing_to_compare_with() -> None:
    """Without the reference there are no ratios, and the sentence says why."""
    said = meaning(
        document(failed("convnext/fp32", "oom", "no memory"), row("convnext/amp", speedup=None))
    )
    assert said == (
        "The reference fp32 was not measured (oom), so nothing can be compared with it."
    )


def test_nothing_measured() -> None:
    """Only failures is an answer too."""
    said = meaning(document(failed("a/fp32", "killed", "x"), failed("a/amp", "killed", "x")))
    assert said == "Nothing was measured: the notes say why."


@pytest.mark.parametrize(
    ("speedup", "said"),
    [
        (FASTER, "amp's steps are 1.34× as fast as fp32's [1.29–1.40]: 103 instead of"),
        (
            judged(0.871, 0.84, 0.902, "slower"),
            "amp's steps are slower than fp32's: 0.87× as fast [0.84–0.90], 103 instead of",
        ),
        (
            judged(1.004, 0.99, 1.018, "same"),
            "amp's steps and fp32's take the same time, within 3 %: 1.004× as fast [0.990–1.018],",
        ),
        (
            judged(1.3, None, None, "inconclusive"),
            "Whether amp's steps are faster than fp32's is not settled: 1.30× as fast, 103 instead",
        ),
    ],
)
def test_without_an_epoch_steps_are_compared(speedup: Speedup, said: str) -> None:
    """A row whose epoch lost a part: its steps are held against the reference's."""
    lost = row("convnext/amp", 20.94, epoch_time_s=None, generations=0, step_speedup=speedup)
    text = meaning(document(reference(), lost))
    assert text.startswith(f"No epoch of amp could be forecast: the notes say why. {said}")
    assert "No row was shown" not in text and "None" not in text and "were 0" not in text


def test_a_reference_without_an_epoch_is_compared_by_steps() -> None:
    """No row has a speed-up of the epoch then; what steps say is said, and what would settle it."""
    first = reference(epoch_time_s=None, epoch_parts_s={}, speedup=None)
    others = [
        row("convnext/amp", 20.94, step_speedup=FASTER),
        row("convnext/bf16", step_speedup=judged(1.041, 0.972, 1.115, "inconclusive")),
    ]
    said = meaning(document(first, *others))
    assert said.startswith("No epoch of fp32 could be forecast: the notes say why. amp's steps are")
    assert "Whether bf16's steps are faster" in said
    assert said.endswith("--time-budget 360")
    unjudged = meaning(document(first, row("convnext/amp")))
    assert "Not compared: amp (never timed beside the reference)" in unjudged
    bare = meaning(document(reference(), row("convnext/amp", epoch_time_s=None)))
    assert "Not compared: amp (only its steps were timed)" in bare


def test_epochs_and_steps_in_one_answer() -> None:
    """Rows with an epoch are compared by it, and one without it by its steps."""
    said = meaning(
        document(
            reference(),
            row("convnext/a", 20.94, speedup=FASTER, step_speedup=FASTER),
            row("convnext/b", 20.0, epoch_time_s=None, step_speedup=FASTER),
        )
    )
    assert said.startswith("a has the fastest epoch: 20.9 s instead of 28.1 s with fp32")
    assert "No epoch of b could be forecast: the notes say why. b's steps are 1.34×" in said
    assert "Not compared" not in said


def test_one_row_without_an_epoch() -> None:
    """Its step is what is known."""
    lost = reference(epoch_time_s=None, epoch_parts_s={}, speedup=None)
    assert meaning(document(lost)) == (
        "convnext/fp32 takes a step in 209 ms (76.7 samples/s). No epoch of convnext/fp32 could be"
        " forecast: the notes say why."
    )


def test_one_row() -> None:
    """A single row has no ratio."""
    assert meaning(document(reference())) == (
        "convnext/fp32 trains an epoch in 28.1 ± 0.5 s (76.7 samples/s)."
    )


def test_interrupted_says_how_to_go_on() -> None:
    """What is not complete says so first, and last how to go on; no other command is named."""
    said = meaning(INTERRUPTED)
    assert said.startswith("Not complete:")
    assert said.endswith("perfkit bench --resume latest")
    assert said.count("perfkit bench") == 1


@pytest.mark.parametrize(("ours", "said"), [(561, True), (600, False)])
def test_memory_is_said_where_it_differs(ours: int, said: bool) -> None:
    """Five per cent less memory is worth a sentence, two are not."""
    text = meaning(
        document(reference(), row("convnext/amp", speedup=FASTER, peak_rss_bytes=ours * 2**20))
    )
    assert ("Peak memory is 0.92×: 561 MiB instead of 612 MiB." in text) is said


def test_a_command_that_is_no_shell_text_is_kept() -> None:
    """A Document from elsewhere may hold any command."""
    shown = replace(INCONCLUSIVE, command="perfkit bench 'open", method=METHOD)
    assert "--time-budget 360" in meaning(shown)
