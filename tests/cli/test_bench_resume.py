"""Going on with a study: what is run again, what is refused, and where there is no space for it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_command import perform
from bench_process import PLUGINS, SHORT, all_gone, bench, rows, study
from fake_engine import FakeEngine
from small_device import mounted

from perfkit.engine.executor import Executor
from perfkit.engine.questions import survey
from perfkit.errors import EXIT_INTERRUPTED
from perfkit.runfolder import StudyFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two generations of which one is finished and one was begun."""
    root = tmp_path_factory.mktemp("interrupted")
    engine = FakeEngine({"tiny/fp32": 0.01}, interrupt_in=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PERFKIT_PATH", str(PLUGINS))
        here = survey(None)["environment"]
        flags = ("--arch", "tiny", *SHORT, "--generations", "2")
        assert perform(patch, engine, *flags, environment=here) == EXIT_INTERRUPTED
    # as the processes of a generation leave it that was killed
    begun = study(root) / "processes" / "2-0"
    begun.mkdir()
    (begun / "steps.bin").write_bytes(bytes(1000))
    return root / ".perfkit"


@pytest.fixture
def here(tmp_path: Path, interrupted: Path) -> Path:
    """A folder of its own with that study."""
    shutil.copytree(interrupted, tmp_path / ".perfkit")
    return tmp_path


@pytest.fixture
def device(tmp_path: Path, interrupted: Path) -> Iterator[Path]:
    """A small file system with that study."""
    with mounted(tmp_path / "device", "4m") as place:
        shutil.copytree(interrupted, place / ".perfkit")
        yield place


def test_what_was_measured_is_resumed_from(here: Path) -> None:
    """The finished generation counts, the one that was begun is run again."""
    code, out, err = bench(here, "--resume", "latest", "--json", "out.json")
    assert code == 0, out + err
    assert rows(here / "out.json")["tiny/fp32"]["generations"] == 2
    assert all_gone(here)


def test_a_study_that_is_running_is_not_resumed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second perfkit is refused, and what the first one has begun is left alone."""
    monkeypatch.chdir(here)
    with Executor(StudyFolder.find("latest"), timeout_s=60, emit=lambda event: None):
        code, _, err = bench(here, "--resume", "latest")
    assert code == 2
    assert "is being run by another perfkit" in err
    assert (study(here) / "processes" / "2-0").exists()


def test_another_environment_is_refused(here: Path) -> None:
    """Figures of two environments do not mix: resume says what has changed."""
    stored = study(here) / "study.json"
    text = stored.read_text()
    assert '"torch": "' in text
    stored.write_text(text.replace('"torch": "', '"torch": "0.'))
    code, _, err = bench(here, "--resume", "latest")
    assert code == 2
    assert "another environment" in err and "torch" in err


def test_a_full_device_is_gone_on_from(device: Path) -> None:
    """Exit code 1 and what to do, what was measured stays; once there is space the study goes on."""
    # removing what was begun would make room
    shutil.rmtree(study(device) / "processes" / "2-0")
    with (
        (device / "filler").open("ab", buffering=0) as filler,
        pytest.raises(OSError, match="No space"),
    ):
        while True:
            filler.write(b"x" * 4096)
    code, _, err = bench(device, "--resume", "latest")
    assert code == 1, err
    assert "error: cannot" in err and "No space left" in err
    assert "hint: free some space" in err and "Traceback" not in err
    assert [path.name for path in (study(device) / "generations").iterdir()] == ["1.json"]
    assert all_gone(device)
    (device / "filler").unlink()
    code, out, err = bench(device, "--resume", "latest", "--json", "-")
    assert code == 0, err
    (row,) = json.loads(out)["rows"]
    assert (row["status"], row["generations"]) == ("ok", 2)
