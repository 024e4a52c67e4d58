"""What was asked for, turned into base settings and rows on a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfkit.errors import UsageError
from perfkit.study.bench.presets import PRESETS, STORY_BATCH
from perfkit.study.bench.request import BenchRequest, chosen_preset, settings_of, warnings_of
from perfkit.study.sizes import Machine

LAPTOP = Machine(device="cpu", cores=2)
GPU = Machine(device="cuda:0", cores=16, device_memory_bytes=80 * 2**30)
ASKED = BenchRequest(command="perfkit bench")


def keys(request: BenchRequest, machine: Machine = LAPTOP) -> list[str]:
    """The rows' keys, as `begin` lays them out."""
    preset = chosen_preset(request, machine)
    archs = request.workloads(preset)
    bases = [settings_of(request, machine, preset, arch) for arch in archs]
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
    base = settings_of(request, LAPTOP, preset, "convnext")
    assert (base.prefetch_factor, base.metrics_every, base.viz_every) == (8, 10, 50)
    assert base.persistent_workers and not base.pin_memory
    (note,) = [n for n in warnings_of(LAPTOP, base, preset) if n.code == "preset_changed"]
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
    base = settings_of(request, LAPTOP, preset, "convnext")
    assert (base.batch_size, base.lr_batch_size) == (8, 8)
    assert base.num_workers == preset.settings["num_workers"]


def test_an_unknown_preset_names_those_there_are() -> None:
    """The hint lists them."""
    with pytest.raises(UsageError) as caught:
        chosen_preset(replace(ASKED, preset="saga"), LAPTOP)
    assert "story" in (caught.value.hint or "")


def test_a_bad_setting_names_its_flag() -> None:
    """The message is about what was typed."""
    request = replace(ASKED, settings={"batch_size": -1})
    with pytest.raises(UsageError, match="--batch-size is -1"):
        settings_of(request, LAPTOP, None, "convnext")
