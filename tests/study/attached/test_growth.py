"""Steps that get longer while a script trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attached_folders import Script, answer, diagnosed, epochs, loop, run_of

from perfkit.study.attached.growth import LEAST_STEPS, STRETCHES, growth_of
from perfkit.study.attached.load import Loads
from perfkit.study.attached.result import attached_run

COUNT = 200
STEP_S = 0.01
"""Of a step whose phases are those of `Script.step`."""


def growing(part: str, to_s: float, count: int = COUNT, of: Script | None = None) -> Script:
    """Steps of 10 ms, a part of which rises evenly by up to so much; `after_s` is done between them."""
    script = of or Script()
    if not script.events:
        script.loader()
    number = script.begin()
    usual = {"wait_s": 0.001, "forward_s": 0.003, "backward_s": 0.005, "optimizer_s": 0.001}
    for step in range(count):
        more_s = to_s * step / count
        if part == "after_s":
            script.step(number)
            script.rest(more_s)
        else:
            script.step(number, **{part: usual.get(part, 0.0) + more_s})
    script.end(number)
    return script


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("wait_s", "waiting"), ("forward_s", "forward"), ("backward_s", "backward"),
        ("optimizer_s", "optimizer"), ("other_s", "other"), ("after_s", "other"),
    ],
)  # fmt: skip
def test_what_grows_is_found(tmp_path: Path, field: str, part: str) -> None:
    """From 10 to 30 ms: the first two tenths are at 12 ms in the middle, the last two at 28."""
    found = loop(growing(field, 2 * STEP_S), tmp_path).growth
    assert found is not None
    assert (found.part, found.part_share) == (part, pytest.approx(1.0))
    assert found.first_s == pytest.approx(0.012, rel=0.02)
    assert found.last_s == pytest.approx(0.028, rel=0.02)
    assert found.mean_s == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize(("to_s", "count"), [(0.003, COUNT), (2 * STEP_S, STRETCHES * LEAST_STEPS)])
def test_little_growth_and_few_steps_are_not_told(tmp_path: Path, to_s: float, count: int) -> None:
    """The last step is not judged: what follows it is not known."""
    assert loop(growing("backward_s", to_s, count), tmp_path).growth is None
    more = growing("backward_s", 2 * STEP_S, count + 1)
    assert loop(more, tmp_path / "more").growth is not None


def test_epochs_that_are_alike_do_not_grow(tmp_path: Path) -> None:
    """Samples sorted by length make each of them rise by itself."""
    script = Script()
    for _ in range(2):
        growing("forward_s", 2 * STEP_S, of=script)
    assert loop(script, tmp_path).growth is None


def test_a_machine_that_becomes_slower_at_once_is_no_growth(tmp_path: Path) -> None:
    """Somebody else begins in the middle of it."""
    script = epochs(Script(), 1, COUNT // 2)
    assert loop(epochs(script, 1, COUNT // 2, backward_s=0.025), tmp_path).growth is None


def test_evaluations_and_checkpoints_are_no_part_of_a_step(tmp_path: Path) -> None:
    """What takes longer each time is not training."""
    script = Script()
    script.loader()
    number = script.begin()
    for step in range(COUNT):
        script.step(number)
        script.save(0.0002 * step)
    script.end(number)
    assert loop(script, tmp_path).growth is None


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_noise_is_hardly_ever_growth(spread: float) -> None:
    """A drifting machine: a random walk of a tenth, and steps that stray besides; of 200 runs none."""
    script, rng = Script(), np.random.default_rng(0)
    epochs(script, 1, COUNT)
    steps = script.steps
    for _ in range(200):
        walk = np.exp(
            np.cumsum(rng.normal(0, 0.1 / COUNT**0.5, COUNT)) + rng.normal(0, spread, COUNT)
        )
        found = [step._replace(step_s=STEP_S * by) for step, by in zip(steps, walk, strict=True)]
        assert growth_of(found, [0.0] * COUNT) is None


def test_on_a_device_its_own_phases_tell(tmp_path: Path) -> None:
    """The host waits in the optimizer for what the device does in backward, timed in every fourth step."""
    script = growing("optimizer_s", 2 * STEP_S)
    steps = []
    for number, step in enumerate(script.steps):
        told: dict[str, Any] = {"device_step_s": step.step_s}
        if number % 4 == 0:
            told |= {"device_backward_s": step.optimizer_s, "device_forward_s": 0.003}
        steps.append(step._replace(**told))
    found = growth_of(steps, [0.0] * len(steps))
    assert found is not None and found.part == "backward"


@pytest.mark.parametrize(
    ("field", "words"),
    [("backward_s", "detach()"), ("after_s", "in place of torch.cat"), ("wait_s", "seen = set()")],
)
def test_it_is_a_finding_and_a_remedy(tmp_path: Path, field: str, words: str) -> None:
    """Of 20 ms in the mean 8 are what steps have become longer by: at most 1.67 times as fast."""
    document = answer(tmp_path, growing(field, 2 * STEP_S))
    (finding,) = document.findings
    assert (finding.kind, finding.severity) == ("growth", "high")
    assert "11.9 ms at the beginning and 27." in finding.message
    assert document.diagnosis is not None
    (remedy,) = [one for one in document.diagnosis.remedies if one.name == "constant_steps"]
    assert words in remedy.snippet and remedy.basis == "bound"
    speedup = remedy.predicted_speedup
    assert speedup is not None and speedup.low is not None
    assert (speedup.value, speedup.low) == (pytest.approx(1.67, abs=0.03), pytest.approx(1.0))


def test_where_computing_takes_the_time_it_is_the_first_remedy(tmp_path: Path) -> None:
    """A larger batch could save more, at most, of any training."""
    found = diagnosed(growing("backward_s", 2 * STEP_S), tmp_path)
    assert found.primary == "compute_bound"
    assert found.remedies[0].name == "constant_steps" and len(found.remedies) > 1


def test_steps_that_stay_the_same_have_neither(tmp_path: Path) -> None:
    """No finding, and no remedy."""
    script = epochs(Script(), 1, COUNT)
    assert answer(tmp_path / "answer", script).findings == ()
    names = [one.name for one in diagnosed(script, tmp_path / "diagnosed").remedies]
    assert "constant_steps" not in names


class _Busy(Loads):
    def disturbed(self, start_ns: int, end_ns: int) -> bool:
        return True


def test_beside_somebody_else_s_load_nothing_is_said(tmp_path: Path) -> None:
    """It may be the load that grows."""
    script = growing("backward_s", 2 * STEP_S)
    run = attached_run(script.recorded(tmp_path), loads=_Busy())
    assert run is not None and run.loop.growth is not None
    assert run.evidence.growth is None
    assert run_of(script, tmp_path / "quiet").evidence.growth is not None
