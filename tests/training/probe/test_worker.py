"""The loader's workers seen from within: CPU and blocked time of a fetch apart, hand-over, idling."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from perfkit.records import FETCHES, FetchRecord
from perfkit.training.probe import worker

BATCH, BATCHES, SAMPLE_S = 4, 6, 0.005


class Costly(Dataset[torch.Tensor]):
    """Samples that take a known time: waiting as for a disk, or computing as a decoder does."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return BATCH * BATCHES

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.kind == "waits":
            time.sleep(SAMPLE_S)
        else:
            end = time.thread_time() + SAMPLE_S
            while time.thread_time() < end:
                pass
        return torch.zeros(8)


def fetches(folder: Path, kind: str, num_workers: int) -> list[FetchRecord]:
    """Load every batch under the probe and read what was recorded."""
    folder.mkdir()
    assert worker.install(folder)
    try:
        loader = DataLoader(Costly(kind), batch_size=BATCH, num_workers=num_workers)
        assert len(list(loader)) == BATCHES
        del loader
    finally:
        worker.uninstall()
    return [r for path in sorted(folder.glob("*.bin")) for r in FETCHES.read(path)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_waiting_and_computing_are_told_apart(tmp_path: Path, num_workers: int) -> None:
    """A fetch that waits has hardly any CPU time in it, one that computes hardly anything else."""
    waits = fetches(tmp_path / "waits", "waits", num_workers)
    computes = fetches(tmp_path / "computes", "computes", num_workers)
    assert len(waits) == len(computes) == BATCHES
    known_s = BATCH * SAMPLE_S
    for records in (waits, computes):
        assert fmean(r.fetch_s for r in records) >= 0.95 * known_s
    assert fmean(r.fetch_cpu_s for r in waits) < 0.5 * known_s
    assert fmean(r.fetch_cpu_s for r in computes) >= 0.95 * known_s


def test_every_worker_has_records_of_its_own(tmp_path: Path) -> None:
    """Two workers, two files; a fetch and a collate each."""
    records = fetches(tmp_path / "two", "waits", 2)
    assert {r.worker for r in records} == {0, 1}
    assert len(list((tmp_path / "two").glob("*.bin"))) == 2
    assert all(r.collate_s >= 0 for r in records)


def test_what_was_installed_is_taken_away(tmp_path: Path) -> None:
    """A loader made afterwards records nothing."""
    fetches(tmp_path / "first", "waits", 2)
    before = sum(path.stat().st_size for path in tmp_path.rglob("*.bin"))
    assert len(list(DataLoader(Costly("waits"), batch_size=BATCH, num_workers=2))) == BATCHES
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.bin")) == before
