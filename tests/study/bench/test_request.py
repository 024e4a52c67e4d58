"""What was asked for, turned into base settings and rows on a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from own_settings import declared

from perfkit.errors import UsageError
from perfkit.study.bench.presets import PRESETS, STORY_BATCH
from perfkit.study.bench.request import BenchRequest, BenchTask
from perfkit.study.request import TrainingSettings
from perfkit.study.sizes import Machine

LAPTOP = Machine(device="cpu", cores=2)
GPU = Machine(device="cuda:0", cores=16, device_memory_bytes=80 * 2**30)
ASKED = BenchRequest(command="perfkit bench")


def task(request: BenchRequest, machine: Machine = LAPTOP) -> BenchTask:
    """What a request comes to on a machine, of workloads that have the settings that they have."""
    return request.on(machine, declared())


def keys(request: BenchRequest) -> list[str]:
    """The rows' keys."""
    return [row.key for row in task(request).layout.rows]


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
    found_task = task(request)
    base = found_task.layout.bases[0]
    assert base.prefetch_factor == 8
    assert (base.workload["metrics_every"], base.workload["viz_every"]) == (10, 50)
    assert base.persistent_workers and not base.pin_memory
    (note,) = [n for n in found_task.warnings if n.code == "preset_changed"]
    assert str(STORY_BATCH) in note.text and "DataParallel" in note.text
    assert found_task.budget_s == 600 and task(ASKED).budget_s is None


def test_the_story_is_nearly_whole_on_a_large_machine() -> None:
    """Where everything fits only the second GPU is missing."""
    roomy = replace(GPU, cores=32, device_memory_bytes=2**40)
    preset = PRESETS["story"](roomy)
    assert preset.settings.pin_memory is True
    assert preset.settings.num_workers == 16
    assert preset.changed[0].startswith("one device in place of DataParallel")


def test_flags_come_before_the_preset_and_it_before_the_machine() -> None:
    """A flag overrides each part of a preset."""
    asked = TrainingSettings(batch_size=8, pin_memory=True)
    base = task(replace(ASKED, preset="story", settings=asked)).layout.bases[0]
    assert (base.batch_size, base.lr_batch_size, base.pin_memory) == (8, 8, True)
    assert base.num_workers == PRESETS["story"](LAPTOP).settings.num_workers
    plain = task(replace(ASKED, archs=("convnext",))).layout.bases[0]
    assert (plain.prefetch_factor, base.prefetch_factor) == (2, 8)


def test_an_unknown_preset_names_those_there_are() -> None:
    """The hint lists them."""
    with pytest.raises(UsageError) as caught:
        task(replace(ASKED, preset="saga"))
    assert "story" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"settings": TrainingSettings(batch_size=-1)}, "--batch-size", "is -1: it should be at"),
        ({"settings": TrainingSettings(num_threads=0)}, "--threads", "is 0: it should be at least"),
        ({"budget_s": 0.5}, "--time-budget", "is 0.5: it should be at least 1, and finite"),
        ({"timeout_s": float("inf")}, "--timeout", "is inf: it should be at least 1, and finite"),
        ({"seed": -1}, "--seed", "is -1: it should be at least 0, and finite"),
        ({"generations": 0}, "--generations", "is 0: it should be at least 1, and finite"),
        ({"steps": 0}, "--steps", "is 0: it should be at least 1, and finite"),
    ],
)
def test_an_error_carries_the_flag_that_it_is_about(
    changes: dict[str, Any], field: str, message: str
) -> None:
    """The message is about what was typed, and begins with it."""
    with pytest.raises(UsageError) as caught:
        task(replace(ASKED, **changes))
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field} {message}")


@pytest.mark.parametrize(
    "changes",
    [
        {"archs": ("convnext",)},
        {"amp": True},
        {"compile_mode": "default"},
        {"sweeps": ("num_workers=0,1",)},
        {"preset": "story"},
        {"full_epoch": True},
        {"steps": 3},
        {"seed": 1},
        {"settings": TrainingSettings(device="cpu")},
        {"settings": TrainingSettings(largest_batch=True)},
        {"settings": TrainingSettings(pin_memory=False)},
        {"settings": TrainingSettings(workload={"num_blocks": "2"})},
    ],
)
def test_whatever_a_study_has_settled_is_refused_beside_resume(changes: dict[str, Any]) -> None:
    """Time is all that can be asked for anew; a flag that says no is a flag, too."""
    replace(ASKED, budget_s=60.0, timeout_s=30.0).refuse_beside_resume()
    with pytest.raises(UsageError, match="--resume goes on with the rows and settings") as caught:
        replace(ASKED, **changes).refuse_beside_resume()
    assert caught.value.field == "--resume"
