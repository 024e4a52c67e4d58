"""Four large plants, each diagnosed live by the command; beside other load it may abstain, never be wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import _plants
import pytest
from _plants import EXPECTED, FILE
from _plants_judged import label

LAYERS = 20
BUDGET_S = 18
"""Start-up included: there is time for some blocks of the real arm."""
FLAGS = {"num_threads": "--threads"}


def diagnosed(folder: Path, name: str) -> dict[str, Any]:
    """The `diagnosis` of the Document that `perfkit diagnose` gives of a job."""
    job = _plants.job(name)
    settings = {**_plants.SETTINGS, **job.settings, **job.own, "num_blocks": LAYERS}
    flags = [
        part
        for setting, value in settings.items()
        for part in (FLAGS.get(setting, f"--{setting.replace('_', '-')}"), str(value))
    ]
    command = [sys.executable, "-m", "perfkit", "diagnose", "--arch", f"{FILE}:{name}", *flags]
    command += ["--device", "cpu", "--time-budget", str(BUDGET_S), "--json", "-"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 4), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["diagnosis"]
    assert (done.returncode == 4) == (found["primary"] == "inconclusive")
    return found


@pytest.mark.parametrize("name", ["slow_storage", "heavy_collate", "slow_metrics", "many_tensors"])
def test_a_large_plant_is_named_or_left_open(tmp_path: Path, name: str) -> None:
    """The kind and the stage that were planted, or why nothing can be said."""
    found, expected = diagnosed(tmp_path, name), EXPECTED[name]
    if found["primary"] == "inconclusive":
        assert found["inconclusive_because"]
        return
    first = found["verdicts"][0]
    assert label(first["kind"], first["stage"]) == label(expected.kinds[0], expected.stage)
