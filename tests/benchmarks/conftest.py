"""The benchmarks are scripts, not a package: their folder is put where they themselves find each other."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_command import perform
from fake_engine import FakeEngine

from perfkit.engine.questions import survey

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(scope="session")
def surveyed() -> dict[str, Any]:
    """What this machine is, asked once: the child that asks imports torch."""
    return survey("cpu", ["baseline", "convnext"])


@pytest.fixture
def machine(surveyed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Have benchmarks that run in this process know the machine."""
    import _common

    monkeypatch.setattr(_common, "survey", lambda device, archs=(): surveyed)
    return surveyed


@pytest.fixture
def benches(
    machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mapping[str, float]], list[FakeEngine]]:
    """Put an engine of exact numbers, by row key, behind each `perfkit bench` that a benchmark runs."""
    import _bench

    def plant(step_s: Mapping[str, float]) -> list[FakeEngine]:
        engines: list[FakeEngine] = []

        def bench(
            command: list[str], *, cwd: str, stdout: int, env: dict[str, str]
        ) -> SimpleNamespace:
            assert command[:4] == [sys.executable, "-m", "perfkit", "bench"]
            engines.append(FakeEngine(step_s))
            told = io.StringIO()
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
                patch.chdir(cwd)
                code = perform(patch, engines[-1], *command[4:], environment=machine["environment"])
            return SimpleNamespace(returncode=code, stdout=told.getvalue().encode())

        monkeypatch.setattr(_bench.subprocess, "run", bench)
        return engines

    return plant
