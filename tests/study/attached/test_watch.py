"""When a run that goes on is looked at, what is said of it and when, on a clock of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attached_folders import Script, epochs

from perfkit import documentfile as documents
from perfkit.errors import UsageError
from perfkit.runfolder import StudyFolder, place_of_study
from perfkit.study.attached import live
from perfkit.study.attached.answer import Head
from perfkit.study.attached.live import Moments
from perfkit.study.attached.load import Load, Loads, LoadWatch
from perfkit.study.attached.request import RunRequest
from perfkit.study.attached.result import AttachedRun, attached_run
from perfkit.study.attached.watch import Watch


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watch(study: StudyFolder, clock: Clock, **asked: Any) -> Watch:
    request = RunRequest(command=("python", "train.py"), **asked)
    head = Head.now("perfkit run -- python train.py", str(study.path))
    return Watch(study, request, head, clock=clock, peak=lambda pid: 1000 * pid)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return StudyFolder.create("run", root=tmp_path)


def run(script: Script, study: Path) -> AttachedRun:
    found = attached_run(script.recorded(study))
    assert found is not None
    return found


def test_halves_that_agree_are_said_after_200_steps(tmp_path: Path) -> None:
    """One step less, or halves that differ by more than 5 points, and a minute is waited for."""
    enough = run(epochs(Script(), 1, steps=201), tmp_path / "enough")
    assert live.can_say(enough, 3.0)
    few = run(epochs(Script(), 1, steps=200), tmp_path / "few")
    assert not live.can_say(few, 3.0)
    drifting = Script()
    epochs(drifting, 1, steps=120)
    drifting.events.clear()
    for _ in range(120):
        drifting.step(0, wait_s=0.003)
    differs = run(drifting, tmp_path / "drifting")
    assert live.halves_differ(differs) == pytest.approx(3 / 12 - 1 / 10, abs=0.02)
    assert not live.can_say(differs, 59.0) and live.can_say(differs, 60.0)


def test_a_minute_is_not_enough_for_a_handful_of_steps(tmp_path: Path) -> None:
    """Steps of seconds: nothing is said of fewer than twenty."""
    assert not live.can_say(run(epochs(Script(), 1, steps=15), tmp_path), 60.0)


def test_a_long_run_is_looked_at_less_and_less() -> None:
    """After 200 steps; after half as many more where halves did not agree; then by doubling the time."""
    moments = Moments()
    assert not moments.due(200, 5.0) and moments.due(201, 5.0)
    moments.looked(201, 5.0, said=False)
    assert not moments.due(301, 7.0) and moments.due(302, 7.0) and moments.due(210, 60.0)
    moments.looked(302, 7.0, said=True)
    assert not moments.due(9000, 36.9) and moments.due(9000, 37.0)
    moments.looked(9000, 100.0, said=True)
    assert not moments.due(90000, 199.0) and moments.due(90000, 200.0)


def test_a_verdict_is_said_once_and_again_when_it_changes(study: StudyFolder) -> None:
    """What was said is stored, too, as not complete."""
    clock = Clock()
    seen = watch(study, clock)
    assert seen.look() is None
    script = epochs(Script(), 1, steps=250, wait_s=0.012, made_s=(0.011, 0.0105))
    script.write(study.path, ended=False)
    clock.now_s = 10.0
    said = seen.look()
    assert said is not None and said.moment == "first"
    assert said.document.diagnosis is not None
    assert said.document.diagnosis.primary == "input_bound"
    assert not documents.read(study.document).complete
    clock.now_s = 45.0
    assert seen.look() is None
    clock.now_s = 200.0
    other = epochs(Script(), 1, steps=600, wait_s=0.0)
    (study.path / "processes/100/ranks/0/steps.bin").write_bytes(
        (other.write(study.path / "other") / "ranks/0/steps.bin").read_bytes()
    )
    changed = seen.look()
    assert changed is not None and changed.moment == "changed"
    assert changed.document.diagnosis is not None
    assert changed.document.diagnosis.primary == "compute_bound"


def test_the_limit_is_answered_with_what_was_seen_by_then(study: StudyFolder) -> None:
    """The script goes on, and what it does later is in no answer."""
    clock = Clock()
    seen = watch(study, clock, steps=60)
    script = epochs(Script(), 2)
    folder = script.write(study.path, ended=False)
    said = seen.look()
    assert said is not None and said.moment == "limit" and seen.reached
    more = epochs(script, 1).write(study.path / "more")
    (folder / "ranks/0/steps.bin").write_bytes((more / "ranks/0/steps.bin").read_bytes())
    assert seen.look() is None
    document = seen.end(complete=False)
    assert document.method["steps"] == 60 and document.complete
    assert document.rows[0].peak_rss_bytes == 100_000


def test_seconds_count_from_the_first_step(study: StudyFolder) -> None:
    """However long a script takes before it trains."""
    clock = Clock()
    seen = watch(study, clock, seconds=5.0)
    clock.now_s = 100.0
    assert seen.look() is None
    epochs(Script(), 1, steps=30).write(study.path, ended=False)
    assert seen.look() is None
    clock.now_s = 105.0
    said = seen.look()
    assert said is not None and said.moment == "limit"


def test_a_script_that_is_to_stop_is_told_so() -> None:
    """By a variable; it then has its answer at its end."""
    command = ("python", "train.py")
    assert RunRequest(command=command, steps=5).variables == {}
    asked = RunRequest(command=command, steps=5, stop=True)
    assert asked.variables == {"PERFKIT_STOP": "steps:5"}
    asked = RunRequest(command=command, seconds=2.5, stop=True)
    assert asked.variables == {"PERFKIT_STOP": "seconds:2.5"}


@pytest.mark.parametrize(
    "asked",
    [
        {"command": ()},
        {"steps": 0},
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"stop": True},
        {"stop": True, "steps": 5, "seconds": 1.0},
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    """With what to say instead."""
    with pytest.raises(UsageError):
        RunRequest(**{"command": ("python", "train.py"), **asked})


def test_a_study_lies_in_the_cache_where_the_folder_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the reason is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".perfkit").write_text("in the way")
    monkeypatch.setenv("PERFKIT_CACHE_DIR", str(tmp_path / "cache"))
    folder, refused = place_of_study("run")
    assert refused is not None and "cannot write to .perfkit" in refused
    assert tmp_path / "cache" in folder.path.parents


def test_foreign_load_disturbs_the_windows_that_it_meets() -> None:
    """A load that leaves no room beside us; of a stretch nobody looked at nothing is said."""
    s = 1_000_000_000
    quiet = Load(start_ns=0, end_ns=2 * s, foreign_s=0.01, own_s=1.0, cores=2)
    loud = Load(start_ns=2 * s, end_ns=4 * s, foreign_s=2.0, own_s=2.0, cores=2)
    loads = Loads((quiet, loud))
    assert not loads.disturbed(0, s) and loads.disturbed(2 * s, 3 * s)
    assert loads.foreign_s(2 * s, 3 * s) == pytest.approx(1.0)
    assert loads.foreign_s(4 * s, 6 * s) is None and not loads.disturbed(4 * s, 6 * s)


def test_disturbed_windows_leave_the_question_open(tmp_path: Path) -> None:
    """More than a quarter of them, and no verdict is given."""
    script = epochs(Script(), 3, wait_s=0.012)
    loud = Load(start_ns=0, end_ns=script.now_ns, foreign_s=100.0, own_s=1.0, cores=2)
    found = attached_run(script.recorded(tmp_path), loads=Loads((loud,)))
    assert found is not None
    from perfkit.diagnosis.judge import judge

    assert judge(found.evidence).primary == "inconclusive"


def test_the_host_is_looked_at_every_two_seconds() -> None:
    """Each look after the first one adds what happened since."""
    seen = LoadWatch()
    seen.look(0, ())
    first = seen._last
    assert first is not None
    seen.look(first.t_ns + 1_000_000_000, ())
    assert seen._last is first
    seen.look(first.t_ns + 2_000_000_000, ())
    assert seen._last is not first
