"""What stands below a diagnosis besides how it was measured."""

from __future__ import annotations

from dataclasses import replace

from report_diagnoses import DECODE

from perfkit.report.diagnose.facts import facts


def test_a_trace_is_told_where_there_is_one() -> None:
    """Where it lies in the study, and what opens it."""
    told = dict(facts(DECODE))
    assert "Trace" not in told
    file = "processes/1-0/ranks/0/trace.json.gz"
    told = dict(facts(replace(DECODE, method={**DECODE.method, "trace": file})))
    assert file in told["Trace"] and "ui.perfetto.dev" in told["Trace"]
    assert "Trace" not in dict(facts(replace(DECODE, method={**DECODE.method, "trace": None})))
