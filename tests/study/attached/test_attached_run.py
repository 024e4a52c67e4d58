"""From the folder of a script to its loop, its evidence and its verdict, on exact numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import HEAD, Script, epochs, loop, primary

from perfkit.diagnosis.judge import judge
from perfkit.study.attached.answer import Head, document_of, runs_of
from perfkit.study.attached.read import read_process, steps_so_far
from perfkit.study.attached.result import attached_run
from perfkit.study.attached.windows import COMPARED_WINDOWS, compared, windows


def test_a_plain_loop_has_its_epochs_from_the_second_on(tmp_path: Path) -> None:
    """The first epoch is slower, and nothing of it is in the epoch that is told."""
    script = Script()
    epochs(script, 1, wait_s=0.1)
    epochs(script, 2)
    found = loop(script, tmp_path)
    assert (found.epochs_seen, found.steps_per_epoch, found.later) == (3, 30, True)
    assert len(found.steady) == 58
    assert {round(step.step_s, 9) for step in found.steady} == {0.010}
    assert found.startup_s["first_batch"] == pytest.approx(0.1)


def test_an_only_epoch_is_what_was_seen_of_it(tmp_path: Path) -> None:
    """Its start is not known, nor how long a whole one takes; its first step is no steady one."""
    script = epochs(Script(), 1, steps=50)
    run = attached_run(script.recorded(tmp_path))
    assert run is not None
    assert run.loop.start_s is None and run.row.epoch_time_s is None
    assert run.row.unavailable["epoch_time_s"] == "first_epoch"
    assert run.planned.config.steps_per_epoch == 49
    assert [note.code for note in run.row.notes] == ["first_epoch"]


def test_starting_an_epoch_is_what_it_takes_beyond_its_steps(tmp_path: Path) -> None:
    """Workers that start anew, a first batch that is late, and nothing of it in the steps."""
    script = Script()
    script.loader(num_workers=2)
    for _ in range(3):
        number = script.begin(iter_s=0.2)
        script.step(number, wait_s=0.301)
        for _ in range(29):
            script.step(number)
        script.rest(0.05)
        script.end(number)
    found = loop(script, tmp_path)
    assert found.start_s == pytest.approx(0.2 + 0.3 + 0.05)
    assert not found.work_s
    assert primary(script, tmp_path / "again") == "startup_bound"


@pytest.mark.parametrize(("anew", "remedied"), [(True, True), (False, False)])
def test_workers_of_a_loader_that_is_made_anew_do_not_stay(
    tmp_path: Path, anew: bool, remedied: bool
) -> None:
    """Whatever it was told: making it once, before the loop over epochs, is what lets them."""
    script = Script()
    script.loader(num_workers=2, persistent_workers=True)
    for epoch in range(4):
        number = script.begin(iter_s=0.2, made=1 + epoch if anew else 1)
        script.step(number, wait_s=0.301)
        for _ in range(29):
            script.step(number)
        script.end(number)
    runs = runs_of([script.recorded(tmp_path)])
    found = document_of(runs, HEAD, elapsed_s=3.0, complete=True).diagnosis
    assert found is not None and found.primary == "startup_bound"
    snippets = [one.snippet for one in found.remedies if one.name == "persistent_workers"]
    assert len(snippets) == remedied
    assert all("made once, before the loop over epochs" in one for one in snippets)


def test_evaluation_after_a_break_is_in_no_step(tmp_path: Path) -> None:
    """A pass without a backward is an evaluation, wherever it lies."""
    script = Script()
    script.loader(0)
    script.loader(1, where="train.py:57")
    for _ in range(3):
        number = script.begin(0)
        for _ in range(30):
            script.step(number)
        # left by a break: the pass does not end
        evaluation = script.begin(1, iter_s=0.01)
        for _ in range(9):
            script.step(evaluation, wait_s=0.002, forward_s=0.018, trains=False)
        script.end(evaluation)
    found = loop(script, tmp_path)
    assert found.evaluation_s == pytest.approx(0.19)
    assert len(found.steps) == 90 and found.steps_per_epoch == 30
    assert {round(step.step_s, 9) for step in found.steady} == {0.010}
    assert primary(script, tmp_path / "again") == "periodic_bound"


def test_evaluation_in_the_middle_of_an_epoch_goes_by_its_steps(tmp_path: Path) -> None:
    """Every tenth step of a loop that has no second epoch."""
    script = Script()
    script.loader(0)
    script.loader(1)
    number = script.begin(0)
    for step in range(1, 101):
        script.step(number)
        if step % 10 == 0:
            evaluation = script.begin(1)
            script.step(evaluation, wait_s=0.0, forward_s=0.1, trains=False)
            script.end(evaluation)
    found = loop(script, tmp_path)
    assert found.evaluation_s == pytest.approx(1.0)
    assert found.steps_per_epoch == 99


def test_a_checkpoint_inside_of_a_step_is_taken_out_of_it(tmp_path: Path) -> None:
    """It lies after the update, before the next batch is asked for."""
    script = Script()
    script.loader()
    for _ in range(3):
        number = script.begin()
        for step in range(30):
            if step == 9:
                script.step(number, other_s=0.2)
                script.rest(-0.2)
                script.save(0.2)
            else:
                script.step(number)
        script.end(number)
    found = loop(script, tmp_path)
    assert found.work_s == {"checkpoint": pytest.approx(0.2)}
    assert max(step.step_s for step in found.steady) == pytest.approx(0.010)


def test_work_in_few_steps_is_told_apart(tmp_path: Path) -> None:
    """Metrics in every tenth step are no part of a step."""
    script = Script()
    script.loader()
    for _ in range(3):
        number = script.begin()
        for step in range(30):
            script.step(number, other_s=0.1 if step % 10 == 5 else 0.0)
        script.end(number)
    found = loop(script, tmp_path)
    assert found.work_s == {"work between steps": pytest.approx(0.3, rel=0.05)}
    assert max(step.step_s for step in found.steady) == pytest.approx(0.010)


def test_work_in_every_step_is_named_by_the_function_that_was_seen(tmp_path: Path) -> None:
    """Without a name it is untracked; with one it is known, and a cause."""
    unnamed = epochs(Script(), 3, other_s=0.010)
    assert primary(unnamed, tmp_path / "unnamed") == "inconclusive"
    script = epochs(Script(), 3, other_s=0.010)
    script.event("stack", where="train.py:88", function="log_all", seconds=0.2)
    script.event("stack", where="train.py:90", function="log_all", seconds=0.5)
    script.event("stack", where="train.py:12", function="main", seconds=0.1)
    found = loop(script, tmp_path / "named")
    assert found.work_s == {"log_all (train.py:90)": pytest.approx(0.3)}
    assert primary(script, tmp_path / "again") == "periodic_bound"


def test_nothing_trained_is_nothing_found(tmp_path: Path) -> None:
    """A process that only evaluates has no loop."""
    script = Script()
    script.loader()
    number = script.begin()
    script.step(number, trains=False)
    assert attached_run(script.recorded(tmp_path)) is None


def test_a_killed_process_is_read_up_to_its_torn_record(tmp_path: Path) -> None:
    """Half a record and half a line at the end are left out."""
    script = epochs(Script(), 2)
    folder = script.write(tmp_path, ended=False)
    steps, lines = folder / "ranks/0/steps.bin", folder / "ranks/0/events.jsonl"
    steps.write_bytes(steps.read_bytes()[:-7])
    lines.write_bytes(lines.read_bytes()[:-9])
    recorded = read_process(folder)
    assert recorded is not None and not recorded.ended
    assert len(recorded.steps) == steps_so_far(folder) == 59
    assert attached_run(recorded) is not None


def test_a_folder_without_its_head_is_none(tmp_path: Path) -> None:
    """A process that does not yet train has not said who it is."""
    folder = epochs(Script(), 1).write(tmp_path)
    (folder / "attached.json").write_text("{")
    assert read_process(folder) is None


def test_waiting_for_batches_is_what_holds_it_back(tmp_path: Path) -> None:
    """The share of the wait is that of the steps, the stage that of the process's own fetches."""
    script = epochs(Script(), 3, wait_s=0.012, made_s=(0.011, 0.0105))
    run = attached_run(script.recorded(tmp_path))
    assert run is not None
    judged = judge(run.evidence)
    assert (judged.primary, judged.verdicts[0].stage) == ("input_bound", "decode")
    assert judged.verdicts[0].share.value == pytest.approx(12 / 21)
    assert run.row.loader["fetch_s"] == pytest.approx(0.011)


def test_contention_rests_on_the_kernel_where_there_are_no_arms(tmp_path: Path) -> None:
    """Run delay beside workers is contention; without workers there is none."""
    script = Script()
    script.loader(num_workers=2, persistent_workers=True)
    epochs(script, 3, ready=1, forward_s=0.008, run_delay_s=0.006)
    assert primary(script, tmp_path / "workers") == "contended"
    alone = epochs(Script(), 3, forward_s=0.008, run_delay_s=0.006)
    assert primary(alone, tmp_path / "alone") != "contended"


def test_windows_hold_every_step_once(tmp_path: Path) -> None:
    """Of equal length within one step, and never of less than five."""
    steps = loop(epochs(Script(), 3), tmp_path).steady
    cut = windows(steps)
    assert [one for window in cut for one in window] == list(steps)
    assert {len(window) for window in cut} <= {5, 6}
    assert windows(steps[:3]) == [tuple(steps[:3])]


def test_notes_tell_what_the_process_told(tmp_path: Path) -> None:
    """What could not be seen, and how it ended; settings that slow it are findings."""
    script = Script(exception="ValueError: no")
    script.event("fact", code="anomaly_mode", value=True, text="anomaly detection is on")
    script.event("fact", code="compiled_optimizer", value=0, text="no update was seen")
    epochs(script, 3, samples=-1)
    run = attached_run(script.recorded(tmp_path))
    assert run is not None
    codes = [note.code for note in run.row.notes]
    assert codes == ["compiled_optimizer", "script_failed"]
    assert run.row.samples_per_sec is None


def test_what_a_new_worker_does_before_its_first_batch_is_its_start(tmp_path: Path) -> None:
    """Asking for an iterator begins processes; their imports are in the wait for the first batch."""
    script = Script()
    script.loader(num_workers=1)
    for _ in range(3):
        number = script.begin(iter_s=0.02)
        script.step(number, wait_s=0.5)
        for _ in range(29):
            script.step(number, made_s=(0.001, 0.001))
        script.end(number)
    run = attached_run(script.recorded(tmp_path))
    assert run is not None
    assert run.row.startup_s["worker_start"] == pytest.approx(0.519)
    assert run.row.startup_s["first_batch"] == pytest.approx(0.001)
    verdict = judge(run.evidence).verdicts[0]
    assert (verdict.kind, verdict.stage) == ("startup_bound", "worker_start")


def test_a_phase_of_the_script_s_own_is_told_by_its_name(tmp_path: Path) -> None:
    """It is taken out of what was in no phase, as far as it lay there."""
    script = epochs(Script(), 3, other_s=0.010)
    script.event("phases", name="augment", count=90, seconds=0.9)
    found = loop(script, tmp_path)
    assert found.work_s == {"augment": pytest.approx(0.3)}
    assert {round(step.step_s, 6) for step in found.steady} == {0.010}


def test_windows_of_the_first_epoch_leave_its_warm_up_out(tmp_path: Path) -> None:
    """Twenty steps, or a tenth of them; later epochs are cut apart, where they were seen."""
    script = Script()
    epochs(script, 1, steps=20, wait_s=0.1)
    epochs(script, 1, steps=60, wait_s=0.0)
    first = attached_run(script.recorded(tmp_path))
    assert first is not None
    assert set(first.row.windows) == {"later_epochs"}
    assert set(compared(first.loop)) == {"later_epochs"}
    script = epochs(Script(), 2, steps=60)
    both = attached_run(script.recorded(tmp_path / "both"))
    assert both is not None
    assert {name: one.steps for name, one in both.row.windows.items()} == {
        "first_epoch": 40,
        "later_epochs": 59,
    }
    assert [len(one.step_time_s) for one in both.row.windows.values()] == [8, 11]
    long = attached_run(epochs(Script(), 1, steps=300).recorded(tmp_path / "long"))
    assert long is not None
    assert long.row.windows["first_epoch"].steps == 270
    assert len(long.row.windows["first_epoch"].step_time_s) == COMPARED_WINDOWS


def test_an_epochs_length_is_a_setting_once_it_is_known(tmp_path: Path) -> None:
    """An epoch whose end was not seen has none."""
    for count, length in ((1, None), (2, 30)):
        script = epochs(Script(), count)
        runs = runs_of([script.recorded(tmp_path / str(count))])
        found = document_of(runs, Head.now("perfkit run", "study"), elapsed_s=1.0, complete=True)
        assert found.base.get("steps_per_epoch") == length
