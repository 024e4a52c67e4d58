"""The settings that processes start from, whatever the study."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfkit import files
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.settings import Setting
from perfkit.study.matrix import rows
from perfkit.study.request import TrainingSettings
from perfkit.study.settings import (
    base_settings,
    cache_dir,
    refuse_out_of_bounds,
    sized,
    warnings,
)
from perfkit.study.sizes import Machine, base_config, chosen

LAPTOP = Machine(device="cpu", cores=2)


def test_what_was_asked_for_comes_before_the_machine() -> None:
    """The learning rate's batch follows the batch; memory is not kept beside a limit."""
    base = base_config(LAPTOP, "convnext")
    found = base_settings(
        LAPTOP, "convnext", TrainingSettings(batch_size=8, memory_limit_bytes=2**30)
    )
    assert (found.batch_size, found.lr_batch_size, found.malloc) == (8, 8, "default")
    assert base.malloc == "keep" and found.num_workers == base.num_workers
    assert found.cache_dir == str(cache_dir())


def test_a_bad_value_names_its_flag() -> None:
    """Also where the flag is not called like the setting."""
    with pytest.raises(UsageError, match="--threads is 0"):
        base_settings(LAPTOP, "convnext", TrainingSettings(num_threads=0))


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
    base = base_settings(LAPTOP, "convnext", TrainingSettings(num_workers=3, pin_memory=True))
    codes = [note.code for note in warnings(LAPTOP, base)]
    assert codes == ["more_workers_than_cores", "setting_ignored"]
    assert warnings(LAPTOP, base_config(LAPTOP, "convnext")) == ()


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PERFKIT_CACHE_DIR itself; else a folder of ours in the user's cache."""
    monkeypatch.delenv("PERFKIT_CACHE_DIR", raising=False)
    monkeypatch.setattr(files.platformdirs, "user_cache_path", lambda name, **_: tmp_path / name)
    assert cache_dir() == tmp_path / "perfkit"
    monkeypatch.setenv("PERFKIT_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG's variables are Linux's")
@pytest.mark.parametrize("old", [False, True], ids=["as installed", "as before 4.14"])
def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    """The XDG specification says so: data would be made again in every folder one starts from."""
    monkeypatch.delenv("PERFKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    if old:
        made = Path("somewhere/perfkit")
        monkeypatch.setattr(files.platformdirs, "user_cache_path", lambda name, **_: made)
    assert cache_dir() == Path.home() / ".cache" / "perfkit"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    if not old:
        assert cache_dir() == Path("/somewhere/perfkit")


WIDTH = Setting("width", 64, "Units of the hidden layer.", least=8)
SIDE = Setting("image_size", 32, "Pixels.", least=16)


def test_a_workloads_own_settings_are_its_defaults_then_what_was_asked_for() -> None:
    """Text becomes values; what a flag named is what a command that repeats it names."""
    base = base_settings(LAPTOP, "mine", TrainingSettings(workload={"width": "08"}), (WIDTH, SIDE))
    assert base.workload == {"width": 8, "image_size": 32}
    assert base.workload_chosen == ("width",)
    assert base_settings(LAPTOP, "mine", TrainingSettings(), ()).workload == {}


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"widht": "8"}, "mine has no setting widht", "did you mean width?"),
        ({"num_blocks": "8"}, "mine has no setting num_blocks", "it has image_size, width"),
        ({"width": "7"}, "mine: width is 7: it should be at least 8", "width: Units of"),
        ({"width": "wide"}, "width=wide: the value should be a whole number", ""),
    ],
)
def test_a_setting_that_a_workload_cannot_have_is_refused(
    asked: dict[str, str], message: str, hint: str
) -> None:
    """It was ignored in silence; the nearest name is the hint."""
    with pytest.raises(UsageError) as caught:
        base_settings(LAPTOP, "mine", TrainingSettings(workload=asked), (WIDTH, SIDE))
    assert caught.value.message == message
    assert (caught.value.hint or "").startswith(hint)


def test_images_are_larger_on_a_gpu_where_there_are_images() -> None:
    """The machine chooses among the settings that the workload has."""
    gpu = Machine(device="cuda:0", cores=16, device_memory_bytes=80 * 2**30)
    own = base_config(gpu, "mine", (WIDTH, SIDE))
    assert own.workload == {"width": 64, "image_size": 128}
    assert own.workload_chosen == ("image_size",)
    assert "128-pixel images, " in chosen(gpu, own)
    bare = base_config(gpu, "mine", (WIDTH,))
    assert bare.workload == {"width": 64}
    assert "pixel" not in chosen(gpu, bare)


def test_rows_keep_within_the_bounds_that_a_workload_declares() -> None:
    """Also those of a variant or a sweep, by the row's key."""
    base = base_settings(LAPTOP, "mine", TrainingSettings(), (WIDTH,))
    planned = rows([base], ["fp32", "width=8", "width=7"])
    refuse_out_of_bounds(planned[:2], {"mine": (WIDTH,)})
    with pytest.raises(
        UsageError, match=r"^mine/fp32.width=7: width is 7: it should be at least 8$"
    ):
        refuse_out_of_bounds(planned, {"mine": (WIDTH,)})
