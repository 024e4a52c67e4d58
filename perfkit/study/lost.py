"""What processes lost once their blocks were timed: a note each, and reasons for what goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfkit.document import Note
from perfkit.engine.results import ProcessResult
from perfkit.study.forecast import NOT_IN_AN_EPOCH

_EXAMINED = ("losses", "flops_per_sample", "gemm_ceiling_share", "copy_bytes_per_sec")
_TITLES = {
    "edges": "the edges of the epoch",
    "epoch_start": "the start of an epoch",
    "partial_batch": "the partial batch",
    "evaluation": "the evaluation",
    "memory": "the peaks of memory",
    "losses": "the losses",
    "flops_per_sample": "the FLOPs",
    "gemm_ceiling_share": "the rate of a matrix product",
    "copy_bytes_per_sec": "the rate of copying",
    "examine": "losses, FLOPs and ceilings",
    "full_epoch": "the real epoch",
    "quit": "leaving",
    "replay": "replayed batches",
    "replay_running": "replayed batches beside running workers",
    "loader_samples_per_sec": "the loader alone",
    "burst": "a profiled burst",
    "synchronising": "calls that wait for the device",
    "dispatch": "what launching operators costs",
}
_TAKES_ALONG = {
    "edges": ("peak_allocated_bytes", "peak_reserved_bytes", "peak_rss_bytes", "memory_ratio"),
    "memory": ("peak_allocated_bytes", "peak_reserved_bytes", "peak_rss_bytes", "memory_ratio"),
    "examine": (*_EXAMINED, "mfu"),
}
"""By lost part, the values of a row that cannot be had without it."""
_OF_THE_FORECAST = ("epoch_time_s", "speedup")


def lost_notes(finished: Sequence[ProcessResult]) -> Iterator[Note]:
    """Yield a note for each part that any of a row's processes lost."""
    for name in _names(finished):
        told = [process.lost[name] for process in finished if name in process.lost]
        title = _TITLES.get(name, f"periodic work ({name})")
        where = (
            "" if len(told) == len(finished) else f" in {len(told)} of {len(finished)} processes"
        )
        text = f"{title} could not be measured{where}: {told[0]}"
        if name == "partial_batch":
            text += "; the forecast is that of an epoch that drops it"
        elif name not in NOT_IN_AN_EPOCH:
            text += "; so there is no forecast of an epoch" + (where and " from those")
        yield Note(code="part_lost", text=text)


def reasons(finished: Sequence[ProcessResult]) -> dict[str, str]:
    """Return, by value of a row, the reason code of what its processes do not have.

    A part that some process has is not missing.
    """
    found: dict[str, str] = {}
    for process in finished:
        found |= process.unavailable
    for name in _names(finished):
        code = next(p.unavailable.get(name, "failed") for p in finished if name in p.lost)
        if any(name not in process.lost for process in finished):
            found.pop(name, None)
        else:
            found[name] = code
            for value in _TAKES_ALONG.get(name, ()):
                found.setdefault(value, code)
        if name not in NOT_IN_AN_EPOCH:
            # where some process has its forecast the values are there, and the reason is not looked at
            for value in _OF_THE_FORECAST:
                found.setdefault(value, code)
    return found


def _names(finished: Sequence[ProcessResult]) -> list[str]:
    return list(dict.fromkeys(name for process in finished for name in process.lost))
