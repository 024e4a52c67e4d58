"""A small training and its commands, and ceilings that are not measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_training import let_go, run_folder, use

from perfkit.training.commands import Commands
from perfkit.training.probe import ceilings, worker


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make the commands of a small training of the given parts and settings."""
    use(monkeypatch)
    made: list[Commands] = []

    def make(parts: dict[str, Any] | None = None, **settings: Any) -> Commands:
        if parts is not None:
            use(monkeypatch, **parts)
        made.append(Commands(run_folder(tmp_path, **settings)))
        return made[-1]

    yield make
    for one in made:
        one.do_quit()
        let_go(one._real)
    worker.uninstall()


@pytest.fixture
def quick_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's ceilings are 1e9 a second at once."""
    for name in ("gemm_flops_per_sec", "copy_bytes_per_sec"):
        monkeypatch.setattr(ceilings, name, lambda *_: 1e9)


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A small training is the workload of every loop; by this a test has one of other parts."""
    use(monkeypatch)
    yield monkeypatch
