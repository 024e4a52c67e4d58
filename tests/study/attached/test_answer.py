"""The Document of an attached run: rows by process, remedies at their lines, what was counted."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from attached_folders import Script, answer, diagnosed, epochs

from perfkit import documentfile as documents
from perfkit.report import console
from perfkit.report.diagnose import spoken
from perfkit.report.markdown import report
from perfkit.report.stored import StoredAnswer
from perfkit.study.attached import advice
from perfkit.study.attached.answer import runs_of


def waiting(**step: Any) -> Script:
    return epochs(Script(**step), 3, wait_s=0.012, made_s=(0.011, 0.0105))


def test_one_process_is_one_row(tmp_path: Path) -> None:
    """Its key is `run`; the document reads back as it was written."""
    document = answer(tmp_path, waiting())
    assert [row.key for row in document.rows] == ["run"]
    assert document.kind == "run" and document.diagnosis is not None
    assert document.diagnosis.primary == "input_bound"
    assert document.base["num_workers"] == 0
    assert documents.loads(documents.dumps(document)) == document


def test_what_was_counted_is_in_method(tmp_path: Path) -> None:
    """Steps, samples, passes, loaders and optimizers."""
    script = waiting()
    script.event("optimizer", optimizer=0, kind="SGD", groups=1, fused=None)
    method = answer(tmp_path, script).method
    counted = {name: method[name] for name in ("steps", "samples", "epochs_seen", "passes")}
    assert counted == {"steps": 90, "samples": 720, "epochs_seen": 3, "passes": 3}
    (loader,) = method["loaders"]
    assert (loader["where"], loader["use"], loader["steps"]) == ("train.py:31", "training", 90)
    assert loader["wait_s"] == pytest.approx(90 * 0.012)
    (optimizer,) = method["optimizers"]
    assert optimizer["kind"] == "SGD"


def test_what_cannot_be_counted_is_null(tmp_path: Path) -> None:
    """Samples of an iterable dataset, and updates that nobody saw."""
    method = answer(tmp_path, epochs(Script(), 3, samples=-1, updates=0)).method
    assert method["samples"] is None and method["updates"] is None


def test_remedies_name_the_line_and_the_lines_to_change(tmp_path: Path) -> None:
    """The loader's; each is confirmed by running the script again."""
    document = answer(tmp_path, waiting())
    assert document.diagnosis is not None
    remedy = next(r for r in document.diagnosis.remedies if r.name == "num_workers")
    assert "train.py:31" in remedy.why
    assert remedy.snippet.splitlines() == [
        "# the DataLoader that train.py:31 iterates",
        "loader = DataLoader(dataset, batch_size=8, num_workers=2, persistent_workers=True)",
    ]
    for one in document.diagnosis.remedies:
        ast.parse(one.snippet)
        assert one.command == "perfkit compare .perfkit/1-run latest"


@pytest.mark.parametrize("within", [True, False])
def test_evaluation_is_made_rarer_by_what_it_goes_by(tmp_path: Path, within: bool) -> None:
    """Steps where it is made in the midst of epochs, epochs else."""
    script = Script()
    script.loader(0)
    script.loader(1)
    for _ in range(3):
        number = script.begin(0)
        for step in range(30):
            script.step(number)
            if within and step in (9, 19):
                evaluate(script)
        script.end(number)
        evaluate(script)
    remedies = {one.name: one for one in diagnosed(script, tmp_path).remedies}
    snippet = remedies["eval_every"].snippet
    assert snippet.startswith("# the evaluation at train.py:32\n")
    assert ("if step % (2 * every) == 0:" in snippet) == within
    assert ("if epoch % 2 == 0" in snippet) == (not within)


def evaluate(script: Script) -> None:
    """A pass over the second loader that nothing is trained with."""
    number = script.begin(1)
    script.step(number, wait_s=0.0, forward_s=0.1, trains=False)
    script.end(number)


def test_no_remedy_leaves_a_call_that_torch_refuses(tmp_path: Path) -> None:
    """Without workers there is neither a prefetch factor nor are there workers that persist."""
    script = Script()
    script.loader(num_workers=1, prefetch_factor=2, persistent_workers=True)
    epochs(script, 3, wait_s=0.006, ready=1)
    run = runs_of([script.recorded(tmp_path)])[0]

    call = advice._call(run.loop.widest, "num_workers", "0")
    assert call == "loader = DataLoader(dataset, batch_size=8, num_workers=0)\n"
    assert "pin_memory=True" in advice._call(run.loop.widest, "pin_memory", "1")


@pytest.mark.parametrize("code", sorted(advice.SLOW_SETTINGS))
def test_a_setting_that_slows_computing_is_the_first_remedy(tmp_path: Path, code: str) -> None:
    """Where computing takes the time, what was read from inside comes before what can only be bounded."""
    script = epochs(Script(), 3, wait_s=0.0)
    script.event("fact", code=code, value=True, text="It is on.")
    document = answer(tmp_path, script)
    assert document.diagnosis is not None
    assert document.diagnosis.primary == "compute_bound"
    assert document.diagnosis.remedies[0].name == advice.SLOW_SETTINGS[code].remedy
    assert [one.stage for one in document.findings] == [code]


def test_ranks_are_rows_and_the_slowest_one_is_diagnosed(tmp_path: Path) -> None:
    """The others wait for it in the backward."""
    fast = epochs(Script(pid=1, rank=0, world_size=2), 3, backward_s=0.016)
    slow = epochs(Script(pid=2, rank=1, world_size=2), 3, wait_s=0.012)
    document = answer(tmp_path, fast, slow)
    assert [row.key for row in document.rows] == ["run/rank1", "run/rank0"]
    assert document.diagnosis is not None and document.diagnosis.primary == "input_bound"
    (warning,) = document.warnings
    assert warning.code == "slowest_rank" and "run/rank1 is the slowest" in warning.text


def test_a_rank_that_was_started_again_is_one_row(tmp_path: Path) -> None:
    """A launcher's second attempt has another process of the same rank."""
    first = epochs(Script(pid=1, rank=0, world_size=2), 1, steps=3)
    again = epochs(Script(pid=2, rank=0, world_size=2), 3)
    assert [row.key for row in answer(tmp_path, first, again).rows] == ["run/rank0"]


def test_trainings_one_after_another_are_rows_of_their_own(tmp_path: Path) -> None:
    """In the order of their beginning; the longest one is diagnosed, and stands first."""
    short, long = epochs(Script(pid=1), 2), epochs(Script(pid=2), 3)
    keys = [row.key for row in answer(tmp_path, short, long).rows]
    assert keys == ["run/process2", "run/process1"]


def test_nothing_trained_is_a_document_without_rows(tmp_path: Path) -> None:
    """It says why there is no diagnosis."""
    document = answer(tmp_path)
    assert document.rows == () and document.unavailable == {"diagnosis": "no_data"}
    assert spoken.lines(document) == []


def test_what_nobody_can_know_of_a_script_has_its_reason(tmp_path: Path) -> None:
    """Arms, and the loader by itself."""
    found = answer(tmp_path, waiting()).diagnosis
    assert found is not None and found.unavailable["differential_s"] == "attached"
    assert found.differential_s == {} and found.loader_samples_per_sec is None


def test_a_run_is_reported(tmp_path: Path) -> None:
    """On the screen with the lines to change and no command of bench; as Markdown; in a few lines."""
    document = answer(tmp_path, waiting())
    screen = console.render(document, width=100, color=False)
    assert "train.py:31" in screen and "loader = DataLoader(dataset" in screen
    assert "perfkit bench" not in screen and "--time-budget" not in screen
    page = report([StoredAnswer(name="1-run", document=document, study=None)])
    assert "## perfkit run" in page and "train.py:31" in page
    first, second, *_ = spoken.lines(document)
    assert first.startswith("Data loading costs 57 % of the epoch")
    assert second.startswith("  try num_workers=2: ")


def test_an_open_question_asks_for_more_of_the_same(tmp_path: Path) -> None:
    """Neither a budget nor an arm is there to ask for."""
    document = answer(tmp_path, epochs(Script(), 3, other_s=0.01))
    assert document.diagnosis is not None and document.diagnosis.primary == "inconclusive"
    screen = console.render(document, width=100, color=False)
    assert "perfkit.phase" in screen and "--time-budget" not in screen
