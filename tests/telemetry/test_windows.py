"""From samples to averages over windows; the files here are written by hand."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import DamagedFile, LaterVersion
from perfkit.jsonlines import JsonLines
from perfkit.telemetry import nvml, sampler
from perfkit.telemetry.windows import NAMES, average

A, B = "GPU-aaaa", "GPU-bbbb"
ALWAYS = [(-(10**10), 100)]
"""Long enough for what looks back."""


def head(*gpus: str, **changes: Any) -> dict[str, Any]:
    listed = [{"uuid": uuid, "name": "Fake GPU"} for uuid in gpus]
    return {"format": sampler.FORMAT, "gpus": listed, "unavailable": {}} | changes


def sample(
    t_ns: int,
    host: dict[str, Any] | None = None,
    gpus: dict[str, dict[str, Any]] | None = None,
    **why: str,
) -> dict[str, Any]:
    return {
        "t_ns": t_ns,
        "t_end_ns": t_ns + 2,
        "host": dict.fromkeys(sampler.HOST_NAMES) | (host or {}),
        "gpus": [{"uuid": u, **dict.fromkeys(nvml.NAMES), **v} for u, v in (gpus or {}).items()],
        "unavailable": why,
    }


def written(folder: Path, *items: dict[str, Any]) -> Path:
    lines = JsonLines(folder / "samples.jsonl")
    for item in items:
        lines.append(item)
    return lines.path


def busy(t_ns: int, share: float) -> dict[str, Any]:
    return sample(t_ns, {"cpu_busy_share": share})


def test_the_mean_of_what_fell_into_the_windows(tmp_path: Path) -> None:
    """Samples between two windows, or over the edge of one, count for neither."""
    items = [busy(10, 0.1), busy(20, 0.2), busy(30, 0.4), busy(40, 0.8)]
    path = written(tmp_path, head(), *items)
    # 10–12 whole, 20–22 over the edge, 30–32 between, 40–42 whole up to the end
    means = average([path], [(10, 21), (35, 42)])
    assert means.samples == 2
    assert means.values["cpu_busy_share"] == pytest.approx(0.45)
    assert "cpu_busy_share" not in means.unavailable


@given(
    times=st.lists(st.integers(0, 100), max_size=20),
    windows=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=4),
)
def test_a_sample_counts_once_and_only_within(
    times: list[int], windows: list[tuple[int, int]]
) -> None:
    """Also when windows overlap; without any sample there is no value."""
    with TemporaryDirectory() as folder:
        path = written(Path(folder), head(), *(busy(t, t / 100) for t in times))
        means = average([path], windows)
    inside = [t / 100 for t in times if any(s <= t and t + 2 <= e for s, e in windows)]
    assert means.samples == len(inside)
    expected = pytest.approx(fmean(inside)) if inside else None
    assert means.values["cpu_busy_share"] == expected
    assert ("cpu_busy_share" in means.unavailable) is not bool(inside)


def test_every_name_has_a_value_or_a_reason(tmp_path: Path) -> None:
    """A file that is not there has neither samples nor values."""
    means = average([tmp_path / "none.jsonl"], ALWAYS)
    assert (means.samples, set(means.values)) == (0, set(NAMES))
    assert means.unavailable == dict.fromkeys(NAMES, "no_data")


def test_a_zero_is_a_value_and_a_null_is_not(tmp_path: Path) -> None:
    """A null beside numbers is left out of their mean, not counted as zero."""
    path = written(
        tmp_path,
        head(A),
        sample(10, gpus={A: {"power_watts": 100, "gpu_util_share": 0}}),
        sample(20, gpus={A: {"power_watts": 300}}),
        sample(30, gpus={A: {}}, **{f"{A}.power_watts": "gpu_lost"}),
    )
    means = average([path], ALWAYS)
    assert (means.values["power_watts"], means.values["gpu_util_share"]) == (200, 0)
    assert means.unavailable["sm_clock_hz"] == "no_data"


def test_reasons_come_from_the_samples(tmp_path: Path) -> None:
    """Why a value of a GPU or of the host is missing."""
    why = {f"{A}.power_watts": "no_permission", "cpu_busy_share": "not_on_this_os"}
    means = average([written(tmp_path, head(A), sample(10, gpus={A: {}}, **why))], ALWAYS)
    assert means.unavailable["power_watts"] == "no_permission"
    assert means.unavailable["cpu_busy_share"] == "not_on_this_os"


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (head(), "not_applicable"),
        (head(A), "no_data"),
        (head(A, unavailable={"nvml": "no_driver"}), "no_driver"),
    ],
)
def test_reasons_that_the_head_knows(tmp_path: Path, first: dict[str, Any], reason: str) -> None:
    """No GPU was in use, there are no samples, there is no driver."""
    means = average([written(tmp_path, first)], ALWAYS)
    assert {means.unavailable[name] for name in nvml.NAMES} == {reason}


@pytest.mark.parametrize(
    ("uuid", "watts"), [(None, 200), (A, 100), ("bbbb", 300), ("GPU-cccc", None)]
)
def test_one_gpu_or_all(tmp_path: Path, uuid: str | None, watts: float | None) -> None:
    """A GPU is named with its prefix or without; no name takes the mean of all."""
    gpus = {A: {"power_watts": 100}, B: {"power_watts": 300}}
    path = written(tmp_path, head(A, B), sample(10, gpus=gpus))
    assert average([path], ALWAYS, gpu_uuid=uuid).values["power_watts"] == watts


SECOND = 10**9


@pytest.mark.parametrize(
    ("window", "share", "reason"),
    [
        # read at 0.9, 1.0, 1.4 and 1.8 s
        ((0, 2 * SECOND), 0.6, None),
        ((0, SECOND), None, "window_too_short"),
        ((SECOND, 2 * SECOND), None, "window_too_short"),
        ((10 * SECOND, 20 * SECOND), None, "no_data"),
    ],
)
def test_what_looks_back_to_before_the_window_is_left_out(
    tmp_path: Path, window: tuple[int, int], share: float | None, reason: str | None
) -> None:
    """Utilisation read in a window's first second is somebody else's; the clock is of the moment."""
    at = {0.9: 0.0, 1.0: 0.4, 1.4: 0.6, 1.8: 0.8}
    clock = {"sm_clock_hz": 1e9}
    samples = [
        sample(round(t * SECOND), gpus={A: {"gpu_util_share": util, **clock}})
        for t, util in at.items()
    ]
    means = average([written(tmp_path, head(A), *samples)], [window])
    assert means.values["gpu_util_share"] == (None if share is None else pytest.approx(share))
    assert means.unavailable.get("gpu_util_share") == reason
    assert means.values["sm_clock_hz"] == (1e9 if reason != "no_data" else None)


def test_of_windows_that_overlap_the_longest_counts(tmp_path: Path) -> None:
    """A sample in the first second of one may be later in another."""
    path = written(tmp_path, head(A), sample(2 * SECOND, gpus={A: {"gpu_util_share": 0.5}}))
    windows = [(SECOND + 1, 3 * SECOND), (0, 3 * SECOND)]
    assert average([path], windows).values["gpu_util_share"] == 0.5


def test_files_are_joined_sample_by_sample(tmp_path: Path) -> None:
    """A study that was gone on with has a file per command: 1 sample of 0.2 and 3 of 0.6 make 0.5."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first = written(tmp_path / "a", head(), busy(10, 0.2))
    second = written(tmp_path / "b", head(), busy(50, 0.6), busy(60, 0.6), busy(70, 0.6))
    means = average([first, second], [(0, 100)])
    assert (means.samples, means.values["cpu_busy_share"]) == (4, pytest.approx(0.5))


def test_a_torn_last_sample_is_dropped(tmp_path: Path) -> None:
    """The sampler may have died in the middle of it."""
    path = written(tmp_path, head(), busy(10, 0.5), busy(20, 0.7))
    path.write_bytes(path.read_bytes()[:-9])
    means = average([path], ALWAYS)
    assert (means.samples, means.values["cpu_busy_share"]) == (1, 0.5)


@pytest.mark.parametrize("line", ["[]", "not JSON", "{}", '{"t_ns": "5", "t_end_ns": 6}'])
def test_what_is_no_sample_is_a_damaged_file(tmp_path: Path, line: str) -> None:
    """The message names the file."""
    path = written(tmp_path, head(), busy(10, 0.5))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DamagedFile, match=r"samples\.jsonl"):
        average([path], ALWAYS)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(LaterVersion, match="format 2; this perfkit reads up to 1") as caught:
        average([written(tmp_path, head(format=sampler.FORMAT + 1))], ALWAYS)
    assert caught.value.hint
