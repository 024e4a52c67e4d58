"""Trying whether a training fits: out of memory is an answer wherever it happens, all else is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfkit.config import RunConfig
from perfkit.engine import trial
from perfkit.engine.process import Failed
from perfkit.errors import PerfkitError

ANSWERS: dict[str, Any] = {"try": {}, "warm_up": {}, "edges": {}}


@pytest.fixture
def fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Try a batch on a process that answers as it is told; says whether it was ended."""
    ended: list[bool] = []

    class Process:
        def __init__(self, *_: Any) -> None: ...

        def wait_for(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {}

        def ask(self, timeout_s: float, do: str, **_: Any) -> dict[str, Any]:
            answer: dict[str, Any] | Failed = ANSWERS[do]
            if isinstance(answer, Failed):
                raise answer
            return answer

        def end(self) -> None:
            ended.append(True)

    monkeypatch.setattr(trial, "TrainingProcess", Process)

    def attempt(rehearse: bool = True, **answers: Any) -> bool:
        for do, answer in answers.items():
            monkeypatch.setitem(ANSWERS, do, answer)
        try:
            return trial.fits(
                tmp_path / "trial", RunConfig(arch="x"), timeout_s=1, rehearse=rehearse
            )
        finally:
            assert ended.pop()

    return attempt


def test_what_runs_through_fits(fits: Any, tmp_path: Path) -> None:
    """And leaves no folder behind."""
    assert fits()
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("do", ["try", "warm_up", "edges"])
@pytest.mark.parametrize("status", ["oom", "killed"])
def test_no_memory_does_not_fit(fits: Any, do: str, status: Any) -> None:
    """Nor does what the kernel killed."""
    assert not fits(**{do: Failed(status, "planted")})


@pytest.mark.parametrize("reason", ["no_memory", "killed"])
def test_an_edge_without_memory_does_not_fit(fits: Any, reason: str) -> None:
    """The process catches it itself, and answers all the same."""
    assert not fits(edges={"lost": {"evaluation": "x"}, "unavailable": {"evaluation": reason}})


@pytest.mark.parametrize("reason", ["failed", "not_supported", "no_data"])
def test_an_edge_that_fails_otherwise_fits(fits: Any, reason: str) -> None:
    """Its row will say so; a batch is not smaller for it."""
    assert fits(edges={"unavailable": {"evaluation": reason}})


def test_other_failures_are_errors(fits: Any) -> None:
    """With the place of what it printed."""
    with pytest.raises(PerfkitError, match="could not be tried: error: planted") as caught:
        fits(**{"try": Failed("error", "planted")})
    assert caught.value.hint is not None and "trial" in caught.value.hint
