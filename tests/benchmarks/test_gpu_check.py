"""benchmarks/gpu_check.py: its path on a CPU, its parts, and how it keeps to its time."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import gpu_check
import pytest
from benchmark_process import small, start


def test_small_form_goes_on_where_it_was(tmp_path: Path) -> None:
    """Rows are those of the benches, and what is there is not measured again."""
    answer = small(tmp_path, "gpu_check", "--part", "variants", "--device", "cpu")
    assert [row["key"] for row in answer["rows"]] == [
        "baseline/fp32", "baseline/bf16", "baseline/bf16+channels_last",
    ]  # fmt: skip
    assert answer["details"] == {"part": "variants", "finished": True}
    again = start(tmp_path, "gpu_check", "--small", "--part", "variants", "--device", "cpu")
    assert "variants-bf16.json is there already" in again.stderr


def test_unknown_part_is_refused(tmp_path: Path) -> None:
    """The parts there are stand in the hint."""
    done = start(tmp_path, "gpu_check", "--part", "nothing", "--device", "cpu", check=False)
    assert done.returncode == 1
    assert "unknown part 'nothing'" in done.stderr
    assert "one of: variants" in done.stderr


def test_rows_of_a_precision() -> None:
    """The fp32 row is every bench's reference and is not asked for twice."""
    assert gpu_check.rows_of("fp32", compiled=True) == ["fp32+channels_last", "fp32+compile"]
    assert gpu_check.rows_of("amp", compiled=False) == ["amp", "amp+channels_last"]


def test_nothing_is_begun_that_does_not_fit(tmp_path: Path) -> None:
    """Late in a call a bench is left to the next one; a small form has no such limit."""
    late = time.monotonic() - gpu_check.LIMIT_S + 10
    options = argparse.Namespace(small=False, device="cuda", out=tmp_path, began=late)
    with pytest.raises(gpu_check.OutOfTime, match="size was not begun"):
        gpu_check.Call(options, {}).begin("size", 100)
    options.small = True
    gpu_check.Call(options, {}).begin("size", 100)
