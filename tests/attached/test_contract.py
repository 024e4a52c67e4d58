"""One training under bench's player and, as a plain script, with the recorder in it: the same records."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from bench_process import PLUGINS

from perfkit.config import RunConfig
from perfkit.engine.attach import environment
from perfkit.engine.process import TrainingProcess
from perfkit.records import FETCHES, STEPS, FetchRecord, StepRecord
from perfkit.runfolder import RunFolder
from perfkit.study.attached.read import read_process

SCRIPT = Path(__file__).parents[1] / "scripts" / "sleeps.py"
LONG_S = 60.0
BATCH, STEPS_EACH, EPOCHS = 16, 40, 2
SLEEP_S = BATCH * 0.0005
"""What reading a batch takes at least: `SAMPLE_S` of the workload for each of its samples."""


@dataclass
class Told:
    """What one door tells of the training: its steps, and the batches its loader made."""

    steps: list[StepRecord]
    fetches: list[FetchRecord]

    def counts(self) -> Counter[tuple[int, int, int]]:
        return Counter((s.samples, s.backwards, s.updates) for s in self.steps)


def by_player(path: Path, workers: int) -> Told:
    """Train one block under bench's player."""
    config = RunConfig(arch="sleeps", num_samples=320, batch_size=BATCH, num_workers=workers)
    process = TrainingProcess(RunFolder.create(path / "bench", config), "sleeps/fp32")
    try:
        process.wait_for("ready", LONG_S, what="start")
        process.ask(LONG_S, "warm_up", seconds=0)
        found = process.ask(LONG_S, "block", block=0, arm="real", steps=STEPS_EACH)["result"]
        process.ask(LONG_S, "quit")
    finally:
        process.end()
    rank = process.folder.rank(0)
    (made,) = rank.loader.glob("*.bin")
    steps = STEPS.read(rank.steps, first=found["first_step"], count=STEPS_EACH)
    return Told(list(steps), list(FETCHES.read(made)))


def by_script(path: Path, workers: int) -> Told:
    """Train two epochs of twenty steps by a script with the recorder in it."""
    study = path / "study"
    subprocess.run(
        [sys.executable, str(SCRIPT), str(workers), str(EPOCHS)],
        cwd=path,
        env=environment(study, os.environ),
        check=True,
        timeout=LONG_S,
    )
    (folder,) = (study / "processes").iterdir()
    recorded = read_process(folder)
    assert recorded is not None and recorded.ended
    (worker,) = recorded.workers
    return Told(list(recorded.steps), list(worker.fetches))


@pytest.fixture(scope="module", params=[0, 1], ids=["no workers", "one worker"])
def doors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Told, Told]]:
    """The training by both doors: how many workers, the player's, the script's."""
    workers: int = request.param
    path = tmp_path_factory.mktemp("doors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFKIT_PATH", str(PLUGINS))
        yield workers, by_player(path, workers), by_script(path, workers)


Doors = tuple[int, Told, Told]


def test_the_same_is_counted(doors: Doors) -> None:
    """Steps, samples, backwards and updates a step are equal, and both worker records name one worker."""
    _, player, script = doors
    assert player.counts() == script.counts() == {(BATCH, 1, 1): STEPS_EACH}
    for told in (player, script):
        assert {f.samples for f in told.fetches} == {BATCH}
        assert {f.worker for f in told.fetches} == {0}
        assert [f.batch for f in told.fetches] == list(range(len(told.fetches)))
    # the player's order never ends: it has warmed up, and its worker has read ahead
    assert len(script.fetches) == STEPS_EACH < len(player.fetches)


def test_the_same_is_measured(doors: Doors) -> None:
    """The same phases are there, and what they tell lies within the step."""
    _, *both = doors
    # only a loop of ours says where the copy to the device ends; a script's is a part of its forward
    assert [{math.isnan(step.h2d_s) for step in told.steps} for told in both] == [{False}, {True}]
    for told in both:
        for step in told.steps:
            parts = (step.data_wait_s, step.forward_s, step.backward_s, step.optimizer_s)
            assert all(part > 0 for part in parts)
            assert sum(parts) <= step.step_s
            # without a device the host's wait is what is exposed, and the device has no phases
            assert step.exposed_wait_s == step.data_wait_s
            assert math.isnan(step.device_step_s) and math.isnan(step.device_forward_s)
            assert step.lead_s == 0 or math.isnan(step.lead_s)
    told_delay = [{math.isnan(step.run_delay_s) for step in told.steps} for told in both]
    assert told_delay[0] == told_delay[1]


def test_readiness_means_the_same(doors: Doors) -> None:
    """Nothing is ever ready without workers; with one it is known, and mostly it is not."""
    workers, *both = doors
    for told in both:
        ready = Counter(step.ready for step in told.steps)
        assert set(ready) <= {0, 1}
        assert ready[0] > STEPS_EACH // 2
        assert {step.queue_depth >= 0 for step in told.steps} == {workers > 0}


def test_a_planted_sleep_is_waited_for_alike(doors: Doors) -> None:
    """Both tell the sleep where the batch was made, and that a step without a worker waits for all of it.

    The least of many is told: what else the machine does only adds to it.
    """
    workers, player, script = doors
    least = [min(fetch.fetch_s for fetch in door.fetches) for door in (player, script)]
    assert least[0] == pytest.approx(least[1], rel=0.35)
    if not workers:
        least = [min(step.data_wait_s for step in door.steps) for door in (player, script)]
        assert least[0] == pytest.approx(least[1], rel=0.35)
    for door in (player, script):
        assert SLEEP_S <= min(fetch.fetch_s for fetch in door.fetches) < 2 * SLEEP_S
        assert median(step.step_s for step in door.steps) >= SLEEP_S
        waits = [step.data_wait_s for step in door.steps]
        if workers:
            # a worker sleeps while the step, of a millisecond or two, is computed
            assert max(waits) > 0.5 * SLEEP_S
        else:
            assert SLEEP_S <= min(waits) < 2 * SLEEP_S
