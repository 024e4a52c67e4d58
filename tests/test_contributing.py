"""The examples of CONTRIBUTING.md, taken out of the page and run from a PERFKIT_PATH folder."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_process import SHORT, bench, environment, rows
from evidences import evidence

from perfkit import discovery
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.judge import judge
from perfkit.diagnosis.remedies import remedies

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
EXAMPLES = re.compile(r"^```python\n# (\w+)/(\w+)\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PERFKIT_PATH folder with every example of the page."""
    for kind, name, text in EXAMPLES.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / "plugins" / kind / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "plugins"


def test_the_page_has_one_example_of_each_kind(folder: Path) -> None:
    """A workload, a variant, a rule and a remedy."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    assert found == [
        "remedies/accumulate.py",
        "rules/optimizer_bound.py",
        "variants/flush_denormal.py",
        "workloads/mlp.py",
    ]


def test_workload_and_variant_run(folder: Path, tmp_path: Path) -> None:
    """The example workload trains under the example variant, as the page says to start it."""
    arguments = ["--arch", "mlp", "--variant", "flush_denormal+width=8", "--device", "cpu", *SHORT]
    env = environment(PERFKIT_PATH=os.fspath(folder))
    code, out, err = bench(tmp_path, *arguments, "--json", "out.json", env=env)
    assert code == 0, err
    measured = rows(tmp_path / "out.json")
    assert list(measured) == ["mlp/fp32", "mlp/fp32+flush_denormal+width=8"]
    assert {row["status"] for row in measured.values()} == {"ok"}
    assert measured["mlp/fp32+flush_denormal+width=8"]["effective"]["denormals"] == "flushed"
    assert "mlp/fp32+flush_denormal+width=8" in out


def test_rule_keeps_the_contract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example rule fires on a slow update, and is silent on a quick one and on none."""
    monkeypatch.setenv("PERFKIT_PATH", os.fspath(folder))
    rule = discovery.load("rules", "optimizer_bound")
    found = rule.check(evidence(phases_s={"forward": 0.08, "optimizer": 0.02}))
    assert (found.severity, found.share) == ("high", pytest.approx(0.2))
    assert rule.check(evidence(phases_s={"forward": 0.098, "optimizer": 0.002})) is None
    assert rule.check(evidence()) is None


def test_remedy_keeps_the_contract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example remedy halves an update of a fifth of every step; it is silent on a quick one."""
    monkeypatch.setenv("PERFKIT_PATH", os.fspath(folder))
    slow = evidence(phases_s={"data_wait": 0.0, "forward": 0.08, "optimizer": 0.02})
    slow = replace(slow, attribution=attribute(slow))
    judged = judge(slow)
    (found,) = (one for one in remedies(slow, judged) if one.name == "accumulate")
    assert found.predicted_speedup is not None
    assert found.predicted_speedup.value == pytest.approx(1 / 0.9)
    assert (found.basis, found.changes_training) == ("arithmetic", True)
    assert found.why == "Updating the parameters takes 20 % of every step."
    remedy = discovery.load("remedies", "accumulate")
    assert remedy.propose(evidence(phases_s={"forward": 0.098, "optimizer": 0.002}), judged) is None
    assert remedy.propose(evidence(), judged) is None
