"""The search for the largest batch, in processes: every try is an event, and a line in the study's folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic

from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event, Tried, Trying
from perfkit.engine.trial import fits
from perfkit.errors import UsageError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import StudyFolder, cannot_write
from perfkit.study.largest import Largest, largest_batch
from perfkit.telemetry import foreign

HOST_SHARE = 0.8
"""Part of the free host memory that a search may use."""


def search(
    folder: StudyFolder, base: RunConfig, emit: Callable[[Event], None], *, timeout_s: float
) -> Largest:
    """Find the largest batch that the base settings can be trained with, in FP32.

    Args:
        timeout_s: how long one try may take.

    Raises:
        UsageError: no batch fits, or how much memory is free cannot be told and no limit is given.
    """
    limited = _limited(base)
    numbers = itertools.count(1)
    log = JsonLines(folder.path / "trials" / "trials.jsonl")

    def try_batch(size: int, *, rehearse: bool = False) -> bool:
        emit(Trying(size))
        path = folder.path / "trials" / f"{next(numbers)}-{size}"
        began = monotonic()
        config = replace(limited, batch_size=size)
        fit = fits(path, config, timeout_s=timeout_s, rehearse=rehearse)
        tried = Tried(size, rehearse, fit, monotonic() - began)
        emit(tried)
        try:
            log.path.parent.mkdir(exist_ok=True)
            log.append(to_json(tried))
        except OSError as error:
            raise cannot_write(log.path, error) from error
        return fit

    began = monotonic()
    rehearsal = partial(try_batch, rehearse=True)
    found = largest_batch(try_batch, rehearsal, start=base.batch_size, most=base.num_samples)
    return replace(found, took_s=monotonic() - began)


def _limited(base: RunConfig) -> RunConfig:
    """The settings with a limit on memory where there is no other end to it than the host's own."""
    if base.memory_limit_bytes is not None or base.device.startswith("cuda"):
        return base
    # the host's own end of memory is found by the kernel killing somebody: stay well off it
    available = foreign.Gauge().snapshot().memory_available_bytes
    if available is None:
        raise UsageError(
            "max needs a limit here: this system does not tell what memory is free",
            field="--batch-size",
            hint="add --memory-limit 8GiB",
        )
    return replace(base, memory_limit_bytes=int(available * HOST_SHARE))
