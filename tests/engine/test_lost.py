"""What is lost once the blocks are timed: by the child itself, part by part, or with the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfkit.config import RunConfig
from perfkit.engine.collect import Lost, collect
from perfkit.engine.results import ProcessResult
from perfkit.runfolder import RunFolder

EDGES = {"lost": {"evaluation": "TypeError: x"}, "unavailable": {"evaluation": "failed"}}
EXAMINED = {
    "lost": {"losses": "CUDA out of memory"},
    "unavailable": {"losses": "no_memory", "mfu": "x"},
}
EPOCH = {"epoch_s": None, "lost": {"full_epoch": "nan"}, "unavailable": {"full_epoch": "failed"}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", RunConfig(arch="x"))


def answer(folder: RunFolder, do: str, **values: object) -> None:
    folder.rank(0).events.append({"event": "done", "do": do, "t_ns": 0, **values})


def read(folder: RunFolder, lost: dict[str, Lost] | None = None) -> ProcessResult:
    return collect(folder, "x/fp32", [], None, "processes/1-0", lost)


def test_what_the_child_lost_is_gathered_from_every_answer(folder: RunFolder) -> None:
    """Of the edges, the examination and the real epoch; the row stays ok."""
    answer(folder, "edges", edges={"epoch_start": 1.0}, **EDGES)
    answer(folder, "epoch", **EPOCH)
    answer(folder, "examine", flops_per_sample=7, **EXAMINED)
    found = read(folder)
    assert found.status == "ok"
    assert found.lost == EDGES["lost"] | EXAMINED["lost"] | EPOCH["lost"]
    assert found.unavailable == {
        "evaluation": "failed", "losses": "no_memory", "mfu": "x", "full_epoch": "failed",
    }  # fmt: skip
    # neither is something that was examined
    assert found.examined == {"flops_per_sample": 7}
    assert found.full_epoch_s is None


def test_what_the_process_lost_stands_beside_it(folder: RunFolder) -> None:
    """A death in the real epoch, after edges that lost a part of their own."""
    answer(folder, "edges", edges={"epoch_start": 1.0}, **EDGES)
    gone = Lost(reason="killed", message="killed by SIGKILL")
    found = read(folder, {"full_epoch": gone, "examine": gone})
    assert (found.status, found.message) == ("ok", None)
    assert found.edges == {"epoch_start": 1.0}
    assert found.lost == EDGES["lost"] | dict.fromkeys(("full_epoch", "examine"), gone.message)
    assert found.unavailable["evaluation"] == "failed"
    assert found.unavailable["full_epoch"] == found.unavailable["examine"] == "killed"


def test_answers_that_lost_nothing(folder: RunFolder) -> None:
    """Nothing is lost where nothing says so, as in the answers of an older perfkit."""
    answer(folder, "edges", edges={})
    assert (read(folder).lost, read(folder).unavailable) == ({}, {})
