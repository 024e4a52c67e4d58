"""A device that is really full: what was measured stays, and the study goes on once there is space."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS, all_gone
from fake_engine import row
from small_device import mounted

from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.errors import NO_SPACE, PerfkitError
from perfkit.runfolder import StudyFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
KEY = "fills_the_disk/fp32"
STEPS = 2000


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    with mounted(tmp_path / "device", "2m") as place:
        yield place


class Study:
    """A study on that device, of a workload that fills it."""

    def __init__(self, device: Path, patch: pytest.MonkeyPatch) -> None:
        self.filler = device / "filler"
        self.folder = StudyFolder.create("bench", root=device)
        self._patch = patch
        patch.setenv("PERFKIT_PATH", str(PLUGINS))
        patch.setenv("PERFKIT_TEST_FILLER", str(self.filler))

    def run(self, number: int, *, fill_in: str = "", **plan: Any) -> GenerationResult:
        self._patch.setenv("PERFKIT_TEST_FILL_IN", fill_in)
        planned = row(KEY)
        planned = replace(planned, config=replace(planned.config, num_samples=320, num_workers=0))
        with Executor(self.folder, timeout_s=60, emit=lambda event: None) as executor:
            executor.drop_unfinished()
            return executor.run(
                GenerationPlan(
                    number=number, group=0, rows=(planned,), palindromes=1, warm_up_s=0.0, **plan
                )
            )

    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.folder.path / "generations").iterdir())


@pytest.fixture
def study(device: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(device, monkeypatch)


def test_a_disk_that_fills_up_while_steps_are_recorded(study: Study, device: Path) -> None:
    """The row could not be recorded and is not stored as failed; with space it is run again."""
    try:
        (process,) = study.run(1, fill_in="step", steps=STEPS, edges=False).processes
    except PerfkitError as error:
        # the baton's log may be the first to find it full
        assert (error.hint or "").startswith("free some space, then go on with --resume")
    else:
        assert process.status == "error"
        assert process.message is not None and process.message.startswith(NO_SPACE)
    assert study.stored() == []
    assert all_gone(device)
    study.filler.unlink()
    (process,) = study.run(1, steps=5, edges=False).processes
    assert (process.status, len(process.blocks), study.stored()) == ("ok", 2, ["1.json"])


def test_a_disk_that_fills_up_after_the_blocks(study: Study, device: Path) -> None:
    """What was stored before stays, nothing is a bug, and the generation is run again."""
    study.run(1, steps=5)
    assert study.stored() == ["1.json"]
    with pytest.raises(PerfkitError) as caught:
        study.run(2, fill_in="evaluation", steps=5)
    assert (caught.value.hint or "").startswith("free some space, then go on with --resume")
    assert study.stored() == ["1.json"]
    assert all_gone(device)
    study.filler.unlink()
    (process,) = study.run(2, steps=5).processes
    assert (process.status, process.lost, study.stored()) == ("ok", {}, ["1.json", "2.json"])


def test_a_disk_that_is_full_from_the_start(study: Study) -> None:
    """Nothing can be started: a clear error with what to do."""
    with study.filler.open("ab", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(b"x" * 4096)
    with pytest.raises(PerfkitError, match="cannot") as caught:
        study.run(1, steps=5)
    assert (caught.value.hint or "").startswith("free some space, then go on with --resume")
    assert study.stored() == []
