"""What is asked before anything is measured: the machine, settings, data, and what hangs or is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS
from own_settings import BUILT_IN

from perfkit.config import RunConfig
from perfkit.engine import questions
from perfkit.engine.child import Child
from perfkit.engine.events import Preparing
from perfkit.errors import PerfkitError, UsageError
from perfkit.settings import Setting


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A child that says something, if anything, and then nothing more."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(questions, "SURVEY_S", 0.5)

    def make(says: str = "") -> Child:
        body = f"print({says!r}, flush=True)\nimport time; time.sleep(600)\n"
        (tmp_path / "planted_child.py").write_text(body)
        return Child("planted_child")

    return make


def test_torch_that_never_comes_back_is_an_error(silent: Any) -> None:
    """A survey has its limit, and says what hangs."""
    with pytest.raises(PerfkitError, match="torch did not say") as caught:
        questions.survey("cpu", child=silent())
    assert caught.value.hint is not None and "import torch" in caught.value.hint


def test_a_workload_that_is_never_imported_is_named(silent: Any) -> None:
    """It hangs, and not torch."""
    child = silent('{"event": "importing", "arch": "mine"}')
    with pytest.raises(PerfkitError, match="workload mine: importing its file took more"):
        questions.survey("cpu", ["mine"], child=child)


def test_a_prepare_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workload, and how it can say that it is alive."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    monkeypatch.setattr(questions, "LEAST_SILENT_S", 4.0)
    config = RunConfig(arch="never_prepared")
    with pytest.raises(PerfkitError, match="workload never_prepared: its prepare") as caught:
        questions.prepare(config, lambda event: None, timeout_s=1.0)
    assert caught.value.hint is not None and "progress" in caught.value.hint


def test_a_factory_that_never_returns_is_left_to_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the time of a row and no more, and is no error here."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    data = questions.prepare(RunConfig(arch="stalls"), lambda event: None, timeout_s=1.0)
    assert (data.path, data.num_samples) == (None, None)


def test_workloads_tell_which_settings_they_have(tmp_path: Path) -> None:
    """A stranger's file is imported there, and what it prints disturbs nobody."""
    setting = 'Setting("width", 64, "Units of the hidden layer.", least=8)'
    source = (
        f"from perfkit.training.workload import Setting\nprint('hello')\nSETTINGS = ({setting},)\n"
    )
    (tmp_path / "mine.py").write_text(source)
    arch = f"{tmp_path / 'mine.py'}:factory"
    found = questions.survey("cpu", [arch, "convnext"])["settings"]
    assert found[arch] == (Setting("width", 64, "Units of the hidden layer.", least=8),)
    assert {s.name: s.default for s in found["convnext"]} == BUILT_IN


def test_an_unknown_device_is_a_usage_error() -> None:
    """A device that torch does not know is what the user asked for, not a failure of ours."""
    with pytest.raises(UsageError, match="warp"):
        questions.survey("warp:9")


def test_one_process_is_surveyed_and_makes_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU is there on every machine; for the tiny workload nothing is made, and its length is told."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    events: list[Any] = []
    with Child() as child:
        found = questions.survey("cpu", ["tiny"], child)
        assert found["device"] == "cpu" and found["settings"] == {"tiny": ()}
        assert found["environment"]["torch"] and found["environment"]["cores_usable"] >= 1
        surveyed = child._running
        config = RunConfig(arch="tiny", num_samples=48)
        data = questions.prepare(config, events.append, timeout_s=60, child=child)
        assert child._running is surveyed
    assert (data.path, data.num_samples) == (None, 48)
    assert not any(isinstance(event, Preparing) for event in events)
