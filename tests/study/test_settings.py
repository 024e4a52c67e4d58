"""The settings that processes start from, whatever the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.study.settings import base_settings, cache_dir, sized, warnings
from perfkit.study.sizes import Machine, base_config

LAPTOP = Machine(device="cpu", cores=2)


def test_what_was_asked_for_comes_before_the_machine() -> None:
    """The learning rate's batch follows the batch; memory is not kept beside a limit."""
    base = base_config(LAPTOP, "convnext")
    found = base_settings(LAPTOP, "convnext", {"batch_size": 8, "memory_limit_bytes": 2**30})
    assert (found.batch_size, found.lr_batch_size, found.malloc) == (8, 8, "default")
    assert base.malloc == "keep" and found.num_workers == base.num_workers
    assert found.cache_dir == str(cache_dir())


def test_a_bad_value_names_its_flag() -> None:
    """Also where the flag is not called like the setting."""
    with pytest.raises(UsageError, match="--threads is 0"):
        base_settings(LAPTOP, "convnext", {"num_threads": 0})


def test_an_epoch_is_the_whole_dataset_unless_a_flag_says_less() -> None:
    """A dataset with a length of its own decides; more than it has cannot be asked for."""
    base = RunConfig(arch="mine.py:factory", batch_size=16, num_samples=2048)
    assert sized(base, 1000, None).num_samples == 1000
    assert sized(base, None, None).num_samples == 2048
    assert sized(base, 1000, 500).num_samples == 500
    with pytest.raises(UsageError, match="more than the 400"):
        sized(base, 400, 500)
    with pytest.raises(UsageError, match="more than the 8 samples"):
        sized(base, 8, None)


def test_what_to_know_before_reading_a_number() -> None:
    """More workers than cores, and a setting that does nothing here."""
    base = base_settings(LAPTOP, "convnext", {"num_workers": 3, "pin_memory": True})
    codes = [note.code for note in warnings(LAPTOP, base)]
    assert codes == ["more_workers_than_cores", "setting_ignored"]
    assert warnings(LAPTOP, base_config(LAPTOP, "convnext")) == ()


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PERFKIT_CACHE_DIR itself; else a folder of ours in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PERFKIT_CACHE_DIR", raising=False)
    assert cache_dir() == tmp_path / "perfkit"
    monkeypatch.setenv("PERFKIT_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
