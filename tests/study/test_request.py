"""What was asked for, turned into base settings and rows on a machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.study.presets import PRESETS, STORY_BATCH
from perfkit.study.request import (
    BenchRequest,
    base_settings,
    cache_dir,
    chosen_preset,
    sized,
    warnings,
)
from perfkit.study.sizes import Machine

LAPTOP = Machine(device="cpu", cores=2)
GPU = Machine(device="cuda:0", cores=16, device_memory_bytes=80 * 2**30)
ASKED = BenchRequest(command="perfkit bench")


def keys(request: BenchRequest, machine: Machine = LAPTOP) -> list[str]:
    """The rows' keys, as `begin` lays them out."""
    preset = chosen_preset(request, machine)
    archs = request.workloads(preset)
    bases = [base_settings(request, machine, preset, arch) for arch in archs]
    return [row.key for row in request.rows(bases, preset)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["convnext/fp32", "convnext/amp", "baseline/fp32", "baseline/amp"]),
        ({"archs": ("convnext",)}, ["convnext/fp32"]),
        ({"archs": ("convnext",), "amp": True}, ["convnext/fp32", "convnext/amp"]),
        (
            {"archs": ("baseline", "baseline"), "compile": True},
            ["baseline/fp32", "baseline/fp32+compile"],
        ),
        (
            {"archs": ("baseline",), "compile_mode": "max-autotune"},
            ["baseline/fp32", "baseline/fp32+compile=max-autotune"],
        ),
        (
            {"sweeps": ("num_workers=0,2",)},
            ["convnext/fp32+num_workers=0", "convnext/fp32+num_workers=2"],
        ),
        ({"variants": ("bf16",)}, [f"{a}/{p}" for a in ("convnext", "baseline") for p in ("fp32", "bf16")]),
    ],
)  # fmt: skip
def test_flags_make_rows(changes: dict[str, object], expected: list[str]) -> None:
    """No flags is the four-row table; each flag adds to the FP32 reference."""
    assert keys(replace(ASKED, **changes)) == expected  # type: ignore[arg-type]


def test_the_story_has_four_rows_and_says_what_it_changed() -> None:
    """The reference, AMP with loader settings, a larger batch, the lighter network; scaled to two cores."""
    request = replace(ASKED, preset="story")
    found = keys(request)
    assert [key.split("/")[0] for key in found] == ["convnext"] * 3 + ["baseline"]
    assert found[0] == "convnext/fp32"
    assert all(key.split("/")[1].startswith("amp+") for key in found[1:])
    preset = chosen_preset(request, LAPTOP)
    assert preset is not None
    base = base_settings(request, LAPTOP, preset, "convnext")
    assert (base.prefetch_factor, base.metrics_every, base.viz_every) == (8, 10, 50)
    assert base.persistent_workers and not base.pin_memory
    (note,) = [n for n in warnings(LAPTOP, base, preset) if n.code == "preset_changed"]
    assert str(STORY_BATCH) in note.text and "DataParallel" in note.text


def test_the_story_is_nearly_whole_on_a_large_machine() -> None:
    """Where everything fits only the second GPU is missing."""
    roomy = replace(GPU, cores=32, device_memory_bytes=2**40)
    preset = PRESETS["story"](roomy)
    assert preset.settings["pin_memory"] is True
    assert preset.settings["num_workers"] == 16
    assert preset.changed[0].startswith("one device in place of DataParallel")


def test_flags_come_before_the_preset_and_it_before_the_machine() -> None:
    """A flag overrides each part of a preset."""
    request = replace(ASKED, preset="story", settings={"batch_size": 8, "num_workers": None})
    preset = chosen_preset(request, LAPTOP)
    assert preset is not None
    base = base_settings(request, LAPTOP, preset, "convnext")
    assert (base.batch_size, base.lr_batch_size) == (8, 8)
    assert base.num_workers == preset.settings["num_workers"]


def test_an_unknown_preset_names_those_there_are() -> None:
    """The hint lists them."""
    with pytest.raises(UsageError) as caught:
        chosen_preset(replace(ASKED, preset="saga"), LAPTOP)
    assert "story" in (caught.value.hint or "")


def test_an_epoch_is_the_whole_dataset_unless_a_flag_says_less() -> None:
    """A dataset with a length of its own decides; more than it has cannot be asked for."""
    base = RunConfig(arch="mine.py:factory", batch_size=16, num_samples=2048)
    assert sized(ASKED, base, 1000).num_samples == 1000
    assert sized(ASKED, base, None).num_samples == 2048
    fewer = replace(ASKED, settings={"num_samples": 500})
    assert sized(fewer, base, 1000).num_samples == 500
    with pytest.raises(UsageError, match="more than the 400"):
        sized(fewer, base, 400)
    with pytest.raises(UsageError, match="more than the 8 samples"):
        sized(ASKED, base, 8)


def test_a_bad_setting_names_its_flag() -> None:
    """The message is about what was typed."""
    request = replace(ASKED, settings={"batch_size": -1})
    with pytest.raises(UsageError, match="--batch-size is -1"):
        base_settings(request, LAPTOP, None, "convnext")


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PERFKIT_CACHE_DIR itself; else a folder of ours in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PERFKIT_CACHE_DIR", raising=False)
    assert cache_dir() == tmp_path / "perfkit"
    monkeypatch.setenv("PERFKIT_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
