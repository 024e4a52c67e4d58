"""Decoded samples in memory: made once, shared by workers, and refused where they cannot be kept."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from small_training import Numbered, config, use
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perfkit.errors import PerfkitError
from perfkit.training.loading import make_loader
from perfkit.training.setup import Training
from perfkit.variants import cache_decoded

KEPT = (("fp32", None), ("cache_decoded", None))


def training(patch: pytest.MonkeyPatch, dataset: Any, **settings: Any) -> Training:
    """A small one over a dataset, its samples kept."""
    use(patch, dataset=dataset)
    return Training(config(variants=KEPT, **settings))


class OfParent(Numbered):
    """Samples that no other process can make, and that are drawn at random."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.maker = os.getpid()

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        assert os.getpid() == self.maker, "a worker decodes"
        _, label = super().__getitem__(index)
        return torch.rand(8), label


def test_workers_read_what_was_made_before_they_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them decodes; every pass gives the same samples, with what was random in them."""
    made = training(monkeypatch, OfParent(16), num_samples=16, num_workers=2)
    passes = []
    for _ in range(2):
        loader = make_loader(made.config, made.workload, [list(range(8)), list(range(8, 16))])  # type: ignore[arg-type]
        passes.append(torch.cat([inputs for inputs, _ in loader]))
    assert torch.equal(*passes)
    assert passes[0].shape == (16, 8) and len(passes[0].unique()) > 100


def test_every_sample_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for those that the estimate is from; filling is a cost of starting, and what is kept is told."""
    data = Numbered(16)
    made = training(monkeypatch, data, num_samples=16)
    assert data.read == [*range(0, 16, 2), *range(16)]
    assert [made.workload.dataset[n][1] for n in range(16)] == [n % 4 for n in range(16)]
    assert len(data.read) == 24
    assert made.startup_s["cache_fill"] > 0
    told = made.effective()["dataset"]
    assert told == "16 samples kept in some 0 MiB; what is random in them was drawn once"


def test_read_back_tells_a_dataset_that_was_put_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what is there, and not what was asked for."""
    use(monkeypatch)
    assert cache_decoded.read_back(Training(config())) == {"dataset": "not kept"}


class Fields(Dataset[dict[str, int]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, int]:
        return {"value": index, "note": -1}


def test_a_collation_may_take_samples_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that it takes out is there the next time."""

    def collate(samples: list[dict[str, int]]) -> list[int]:
        return [sample.pop("note") + sample["value"] for sample in samples]

    kept = training(monkeypatch, Fields(), num_samples=4).workload.dataset
    for _ in range(2):
        assert list(DataLoader(kept, batch_size=4, collate_fn=collate)) == [[-1, 0, 1, 2]]


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(4))


class Whole(Numbered):
    def __getitems__(self, indices: list[int]) -> torch.Tensor:
        return torch.zeros(len(indices), 8)


@pytest.mark.parametrize(
    ("dataset", "because"),
    [
        (Stream(), "a Stream gives a stream and no sample by its number"),
        (Whole(4), "Whole.__getitems__ makes whole batches"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    monkeypatch: pytest.MonkeyPatch, dataset: Any, because: str
) -> None:
    """With the reason, before anything is made."""
    with pytest.raises(PerfkitError, match=because) as refused:
        training(monkeypatch, dataset, num_samples=4)
    assert refused.value.hint


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of some 100 kB, 400 of them, and 60 MB of memory that are free."""

    class Large(Numbered):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            self.read.append(index)
            return torch.zeros(25_000), 0

    data = Large(400)
    monkeypatch.setattr(cache_decoded, "_free_bytes", lambda: 60_000_000)
    with pytest.raises(
        PerfkitError, match=r"more than 50% of the 0\.1 GiB of memory that are free"
    ):
        training(monkeypatch, data, num_samples=400)
    assert len(data.read) == 8
    monkeypatch.setattr(cache_decoded, "_free_bytes", lambda: None)
    assert len(training(monkeypatch, data, num_samples=400).workload.dataset) == 400


def test_what_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimated from a few samples, and not tried."""
    data = Numbered(400)
    monkeypatch.setattr(cache_decoded, "MOST_FILL_S", 0.0)
    with pytest.raises(PerfkitError, match="making every sample once takes") as refused:
        training(monkeypatch, data, num_samples=400)
    assert len(data.read) == 8 and "--num-samples" in str(refused.value.hint)


class Image:
    """As Pillow has them."""

    size = (10, 20)

    def getbands(self) -> tuple[str, ...]:
        return ("R", "G", "B")


class Ring:
    def __init__(self) -> None:
        self.itself = self
        self.data = torch.zeros(1000)


def test_sizes_are_those_of_what_is_held() -> None:
    """Through containers and objects, whatever their own overhead; a ring is not gone round for ever."""
    nbytes = cache_decoded._nbytes
    for sample, least in (
        (torch.zeros(1000), 4000),
        (np.zeros(1000), 8000),
        ((torch.zeros(1000), {"mask": np.zeros(500, dtype=np.uint8)}), 4500),
        (b"x" * 300, 300),
        ([1, 2, 3], 24),
    ):
        assert least <= nbytes(sample) <= least + 1000
    assert nbytes(Image()) == 600
    assert 4000 <= nbytes(Ring()) <= 50_000
    assert cache_decoded._free_bytes() is None or cache_decoded._free_bytes() > 0
