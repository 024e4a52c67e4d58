"""What the making of batches was seen in."""

from __future__ import annotations

from pathlib import Path

from attached_folders import Script, diagnosed, epochs, run_of

from perfkit.diagnosis.evidence import OwnWork
from perfkit.jsonlines import JsonLines
from perfkit.study.attached.read import read_process
from perfkit.study.attached.result import attached_run


def test_what_batches_are_made_in_is_named(tmp_path: Path) -> None:
    """Of all that making them takes; what libraries do has no name."""
    script = epochs(Script(), 3, wait_s=0.02, made_s=(0.015, 0.004))
    script.event("loader", loader=0, where="train.py:20", num_workers=0, batch_size=8)
    inner = {"inner": "tokenize", "inner_where": "text.py:5"}
    script.event("batch_stack", where="d.py:7", function="__getitem__", seconds=6.0, **inner)
    script.event("batch_stack", where="train.py:20", function="<library>", seconds=4.0)
    found = run_of(script, tmp_path).evidence.making
    assert found == {
        "__getitem__ (d.py:7)": OwnWork(share=0.6, inner="tokenize, text.py:5", inner_share=0.6)
    }
    (verdict,) = [one for one in diagnosed(script, tmp_path / "again").verdicts if one.stage]
    assert (
        "60 % of that was seen in `__getitem__` (d.py:7), most of it in tokenize, text.py:5."
        in verdict.evidence
    )


def test_what_making_is_divided_into_is_told(tmp_path: Path) -> None:
    """Where no function has most of it: by function, and by the lines of its own that lead to none."""
    script = epochs(Script(), 3, wait_s=0.02, made_s=(0.015, 0.004))
    script.event("loader", loader=0, where="train.py:20", num_workers=0, batch_size=8)
    for seconds, place in ((5.0, {}), (4.5, {"inner": "crop", "inner_where": "image.py:5"})):
        script.event(
            "batch_stack", where="d.py:7", function="__getitem__", seconds=seconds, **place
        )
    script.event("batch_stack", where="d.py:8", function="__getitem__", seconds=0.5)
    found = run_of(script, tmp_path).evidence.making
    parts = {"at d.py:7": 0.5, "in crop, image.py:5": 0.45}
    assert found == {"__getitem__ (d.py:7)": OwnWork(share=1.0, parts=parts)}
    told = "100 % of that was seen in `__getitem__` (d.py:7): 50 % at d.py:7; 45 % in crop, image.py:5."
    (verdict,) = [one for one in diagnosed(script, tmp_path / "again").verdicts if one.stage]
    assert told in verdict.evidence


def test_what_workers_make_batches_in_is_named(tmp_path: Path) -> None:
    """Those of the training alone; what one of them tells again takes the place of what it told."""
    script = epochs(Script(), 3, wait_s=0.02, made_s=(0.015, 0.004))
    script.event("loader", loader=0, where="train.py:20", num_workers=1, batch_size=8)
    folder = script.write(tmp_path)
    decode = {
        "event": "worker_stack",
        "where": "d.py:7",
        "function": "__getitem__",
        "inner": "decode",
    }
    for pid, inner_where, seconds in (
        *((100, "d.py:2", 1.0), (100, "d.py:2", 6.0), (100, "d.py:3", 2.0)),
        (200, "check.py:1", 90.0),
    ):
        told = {**decode, "inner_where": inner_where, "seconds": seconds}
        JsonLines(folder / "ranks" / "0" / "loader" / f"0-{pid}.jsonl").append(told)
    recorded = read_process(folder)
    assert recorded is not None
    run = attached_run(recorded)
    assert run is not None
    assert run.evidence.making == {
        "__getitem__ (d.py:7)": OwnWork(share=1.0, inner="decode, d.py:2", inner_share=1.0),
    }
    assert recorded.told("worker_stack")[0]["seconds"] == 6.0
