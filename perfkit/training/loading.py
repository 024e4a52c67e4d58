"""Batches of a training set: their order, their loader, and a few fixed ones.

The batches of a map-style dataset are drawn by number. A stream (an `IterableDataset`) has no numbers: of an
order only the sizes of its batches count, and the samples are the next ones that the stream gives, each
worker's of its own part where the stream asks `get_worker_info`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from perfkit.config import RunConfig
from perfkit.training.workload import Workload


def is_stream(workload: Workload) -> bool:
    """Whether the training set gives its samples one after another, and none by number."""
    return isinstance(workload.dataset, IterableDataset)


def length_of(workload: Workload) -> int:
    """Return the samples of the training set.

    Raises:
        TypeError: it has no length, and none is stated.
    """
    return len(workload.dataset) if workload.length is None else workload.length  # type: ignore[arg-type]


def samples_of_step(config: RunConfig) -> int:
    """How many samples every batch of a block has."""
    return min(config.batch_size, config.num_samples)


def partial_batch(config: RunConfig, workload: Workload) -> int:
    """Samples in the last batch of an epoch where it is not full; 0 when there is none, or it is left out."""
    return 0 if workload.drop_last else config.partial_batch


class BatchOrder(Sampler[list[int]]):
    """Batches of indices: whole epochs, each in an order of its own that only the seed decides.

    With `batches` None it never ends, so that blocks are steps of one long epoch; a number ends the
    pass after that many. Every batch has `size` samples. Both are read when an iteration begins.

    Args:
        shuffled: False for a stream: which indices there are tells nothing, and a long list of them is dear.
    """

    def __init__(self, config: RunConfig, *, shuffled: bool = True) -> None:
        self._samples = config.num_samples
        self._shuffled = shuffled
        self._generator = torch.Generator().manual_seed(config.seed)
        self.batches: int | None = None
        self.size = samples_of_step(config)

    def __iter__(self) -> Iterator[list[int]]:
        left, size = self.batches, self.size
        order: list[int] = []
        while left is None or left > 0:
            if not self._shuffled:
                order = [0] * size
            elif len(order) < size:
                order += torch.randperm(self._samples, generator=self._generator).tolist()
            batch, order = order[:size], order[size:]
            left = None if left is None else left - 1
            yield batch

    @contextlib.contextmanager
    def limited(self, batches: int, size: int | None = None) -> Iterator[None]:
        """Inside, a pass that begins has so many batches, of so many samples."""
        usual = self.batches, self.size
        self.batches, self.size = batches, size or self.size
        try:
            yield
        finally:
            self.batches, self.size = usual


class ShuffledEpoch(Sampler[list[int]]):
    """Every sample of an epoch once, shuffled anew each time, in batches; the last may be partial.

    A number in `batches` ends the pass after that many. It is read when an iteration begins.
    """

    def __init__(self, config: RunConfig, *, drop_last: bool = False) -> None:
        self._samples = config.num_samples
        self._size = config.batch_size
        self._whole = config.steps_per_epoch if drop_last else None
        self.batches: int | None = None

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._samples).tolist()
        for start in range(0, self._samples, self._size)[: self._whole][: self.batches]:
            yield order[start : start + self._size]


class Endless(IterableDataset[Any]):
    """A stream that begins anew at its end, in whichever worker reads it, as often as it is asked.

    Raises:
        RuntimeError: while it is iterated, the stream gave samples once and gives none the next time.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset: Any = dataset

    def __iter__(self) -> Iterator[Any]:
        given = False
        while True:
            ended = True
            for sample in self._dataset:
                given, ended = True, False
                yield sample
            if ended and given:
                raise RuntimeError(
                    f"the {type(self._dataset).__name__} gives its samples once and none when it is iterated"
                    " again, which every epoch does"
                )
            if ended:
                # a worker that has no part of the stream
                return


class StreamLoader(DataLoader[Any]):
    """A DataLoader over a stream whose batches are of the sizes that an order gives.

    Torch refuses a batch sampler beside an `IterableDataset`, for there is nothing to draw by number; its
    fetchers take as many samples as there are indices.
    """

    def __init__(self, dataset: Dataset[Any], order: Any, **settings: Any) -> None:
        self._order = order
        super().__init__(dataset, **settings)

    @property
    def _index_sampler(self) -> Any:
        return self._order


def make_order(config: RunConfig, workload: Workload) -> BatchOrder:
    """Return the endless order that blocks draw from."""
    return BatchOrder(config, shuffled=not is_stream(workload))


def make_loader(
    config: RunConfig,
    workload: Workload,
    order: Sampler[list[int]] | None,
    dataset: Dataset[Any] | None = None,
) -> DataLoader[Any]:
    """Make a DataLoader with the settings of the configuration.

    Args:
        order: draws the batches of the training set; None reads `dataset` once, in order.
        dataset: the data where there is no order; None for the workload's training set.
    """
    settings = _settings(config, workload, lasting=order is not None)
    if order is None:
        # an empty one is false
        data = workload.dataset if dataset is None else dataset
        return DataLoader(data, batch_size=config.batch_size, **settings)
    if is_stream(workload):
        return StreamLoader(Endless(workload.dataset), order, **settings)
    return DataLoader(workload.dataset, batch_sampler=order, **settings)


def _settings(config: RunConfig, workload: Workload, *, lasting: bool) -> dict[str, Any]:
    """What every DataLoader of a configuration is given.

    Args:
        lasting: its workers may outlive a pass.
    """
    workers = config.num_workers
    settings: dict[str, Any] = {
        "num_workers": workers,
        "pin_memory": config.pin_memory and config.device.startswith("cuda"),
        "collate_fn": workload.collate,
        "generator": torch.Generator().manual_seed(config.seed),
    }
    if workers:
        settings["prefetch_factor"] = config.prefetch_factor
    if lasting:
        settings["persistent_workers"] = config.persistent_workers and workers > 0
    return settings


def fixed_batches(workload: Workload, order: list[list[int]]) -> list[Any]:
    """Return the batches of the given indices, made in this process as the loader makes them.

    Of a stream they are the first of a fresh iteration, of as many samples.
    """
    # its fetcher too, and not only the collation: a dataset may fetch whole batches itself
    settings: dict[str, Any] = {"collate_fn": workload.collate, "generator": torch.Generator()}
    if is_stream(workload):
        return list(StreamLoader(Endless(workload.dataset), order, **settings))
    return list(DataLoader(workload.dataset, batch_sampler=order, **settings))


def epoch_loader(config: RunConfig, workload: Workload) -> DataLoader[Any]:
    """Return a loader whose every pass is an epoch as a plain script has it: shuffled, to its own end.

    It keeps the partial batch unless the workload drops it. Workers that persist are there already, as in
    every epoch but the first. Of a stream with several workers, each ends with a partial batch of its part.
    """
    settings = _settings(config, workload, lasting=True)
    order: BatchOrder | ShuffledEpoch
    loader: DataLoader[Any]
    if is_stream(workload):
        order = BatchOrder(config, shuffled=False)
        if config.num_samples < length_of(workload):
            order.batches = config.steps_per_epoch + (partial_batch(config, workload) > 0)
        loader = StreamLoader(workload.dataset, order, drop_last=workload.drop_last, **settings)
    else:
        order = ShuffledEpoch(config, drop_last=workload.drop_last)
        loader = DataLoader(workload.dataset, batch_sampler=order, **settings)
    if loader.persistent_workers:
        # to its end: what a pass leaves unfetched has to be made before the next can begin
        usual, order.batches = order.batches, 1
        for _ in loader:
            pass
        order.batches = usual
    return loader


def first_batch(config: RunConfig, workload: Workload) -> Any:
    """Return a batch of the first samples, made in this process."""
    (batch,) = fixed_batches(workload, [list(range(min(config.batch_size, length_of(workload))))])
    return batch
