"""What every rule has to keep, whoever wrote it; a new file in the folder is picked up unedited."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evidences import CONFIG, blocks, evidence

from perfkit import discovery
from perfkit.diagnosis import advise
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Burst, Dispatch
from perfkit.document import Finding
from perfkit.errors import UsageError

RULES = discovery.names("rules")
CALM = evidence()
TROUBLED = replace(
    evidence(
        replace(CONFIG, devices=("cuda:0", "cuda:1"), parallel="ddp"),
        exposed_wait_s=0.02,
        phases_s={
            "data_wait": 0.02, "h2d": 0.02, "communication": 0.01, "forward": 0.015, "backward": 0.025,
        },
        run_delay_s=0.012,
        epoch_parts_s={"steps": 10.0, "epoch_start": 5.0, "evaluation": 5.0},
        startup_s={"worker_start": 1.0, "first_batch": 1.0, "first_step": 5.0},
    ),
    burst=Burst(steps=5, busy_share=0.2, launches=900.0, synchronising={"train.py:12": 1.0}),
    dispatch=Dispatch(fixed_share=0.9, operators_share=0.5),
    telemetry={"thermal_slowdown_share": 0.2},
)  # fmt: skip
"""Everything is wrong that can be at once."""
ALONE = {
    "compute_bound": replace(CALM, attribution=attribute(CALM)),
    "disturbed": replace(CALM, stretches=tuple(blocks("real", 0.1, disturbed=True))),
}
"""By rule, what it sees where it excludes others."""
EMPTY = evidence(epoch_parts_s={}, phases_s={}, exposed_wait_s=None, cores=None)


@pytest.fixture(params=RULES)
def rule(request: pytest.FixtureRequest) -> Any:
    """Every rule there is."""
    return discovery.load("rules", request.param)


def test_says_what_it_measures_and_where_its_thresholds_come_from(rule: Any) -> None:
    """A docstring of one line, then why and what to try, with the source of the thresholds."""
    first, _, rest = (rule.__doc__ or "").partition("\n\n")
    assert first and first.endswith(".") and "\n" not in first
    assert "Source:" in rest
    assert 0 < rule.MODERATE_SHARE < rule.HIGH_SHARE < 1


def test_abstains_where_nothing_was_measured(rule: Any) -> None:
    """A row without figures has no finding."""
    assert rule.check(EMPTY) is None


def test_is_silent_where_nothing_is_wrong(rule: Any) -> None:
    """A row that only trains has no finding."""
    assert rule.check(CALM) is None


def test_answers_with_a_finding_of_its_own_name(rule: Any) -> None:
    """Where everything is wrong, it says so, with a share and something to try."""
    name = rule.__name__.rpartition(".")[2]
    found = rule.check(ALONE.get(name, TROUBLED))
    assert isinstance(found, Finding)
    assert found.kind == name
    assert rule.MODERATE_SHARE <= found.share <= 1
    assert (found.severity == "high") == (found.share >= rule.HIGH_SHARE)
    assert found.message.endswith(".") and found.try_next
    assert all(said.endswith(".") for said in found.evidence)
    assert rule.check(replace(TROUBLED, row=replace(TROUBLED.row, epoch_parts_s={}))) is None or (
        # what a driver or the gauge tells of the machine needs no epoch
        name in ("throttled", "disturbed")
    )


def test_is_pure(rule: Any) -> None:
    """The same evidence gives the same finding."""
    assert rule.check(TROUBLED) == rule.check(TROUBLED)


def test_rules_are_torch_free() -> None:
    """Importing every rule imports no torch."""
    code = (
        "import sys; from perfkit import discovery;"
        "[discovery.load('rules', name) for name in discovery.names('rules')];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_findings_come_largest_first() -> None:
    """Advice is ordered by how much of the epoch its cause takes."""
    found = advise(TROUBLED)
    assert len(found) >= 3
    assert [f.share for f in found] == sorted((f.share for f in found), reverse=True)


def test_a_failed_row_has_no_findings() -> None:
    """What was not measured to its end is not diagnosed."""
    assert advise(evidence(status="oom", exposed_wait_s=0.05)) == ()


def test_a_strangers_rule_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in PERFKIT_PATH takes part like ours; one that fails is named."""
    (tmp_path / "rules").mkdir()
    path = tmp_path / "rules" / "always.py"
    path.write_text(
        "from perfkit.document import Finding\n"
        "def check(evidence):\n"
        "    return Finding(kind='always', severity='low', share=1.0, message='m.', try_next='t')\n"
    )
    monkeypatch.setenv("PERFKIT_PATH", os.fspath(tmp_path))
    assert [f.kind for f in advise(CALM)] == ["always"]
    (tmp_path / "rules" / "broken.py").write_text("def check(evidence):\n    return 1 / 0\n")
    with pytest.raises(UsageError, match="rule broken failed: ZeroDivisionError"):
        advise(CALM)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "has no function check"), ("def check(evidence):\n    return 'yes'\n", "not 'yes'")],
)
def test_a_rule_that_breaks_the_contract_is_named(
    text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No function, or one that answers with something else, is a usage error."""
    (tmp_path / "rules").mkdir()
    name = f"odd_{len(text)}"
    (tmp_path / "rules" / f"{name}.py").write_text(text)
    monkeypatch.setenv("PERFKIT_PATH", os.fspath(tmp_path))
    with pytest.raises(UsageError, match=complaint):
        advise(CALM)
