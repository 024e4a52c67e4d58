"""A generation that runs on processes of exact numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_engine import row
from fake_nvml import UUID
from fake_processes import FP32, World

from perfkit.engine.events import Event
from perfkit.engine.generation import Generation
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.runfolder import StudyFolder
from perfkit.telemetry.gpu import GpuGauge
from perfkit.telemetry.nvml import Nvml


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a generation in a world of its own; returns its result and the events."""

    def carry_out(
        world: World, keys: tuple[str, ...] = (FP32,), capacity: int = 0, **plan: Any
    ) -> tuple[GenerationResult, list[Event]]:
        monkeypatch.setattr("perfkit.engine.generation.TrainingProcess", world.process)
        events: list[Event] = []
        gpu_gauge = GpuGauge(lambda: Nvml(world.gpu))
        if world.gpu is not None:
            gpu_gauge.watch(UUID)
        rows = tuple(map(row, keys))
        rows = tuple(
            replace(r, config=replace(r.config, num_workers=1, prefetch_factor=capacity or 1))
            for r in rows
        )
        generation = Generation(
            StudyFolder.create("bench", root=tmp_path),
            GenerationPlan(number=1, group=0, rows=rows, **{"palindromes": 1, **plan}),
            timeout_s=60,
            gauge=world,  # type: ignore[arg-type]
            gpu_gauge=gpu_gauge,
            emit=events.append,
            on_ready=lambda environment: None,
        )
        world.generation = generation
        return generation.run(), events

    return carry_out
