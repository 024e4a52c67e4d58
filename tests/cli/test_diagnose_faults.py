"""`perfkit diagnose` on bad input, and faults in its arms with real processes: each is told."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_command import perform
from bench_process import all_gone, bench, environment, rows, start, study, wait_for
from fake_engine import FakeEngine

from perfkit.errors import EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE

SIZE = ("--num-samples", "3200", "--num-workers", "1")
reads_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    ("flags", "message", "hint"),
    [
        (["--arch", "convnxt"], "unknown workload 'convnxt'", "did you mean convnext?"),
        (["--variant", "bf61"], "unknown variant 'bf61'", "did you mean bf16?"),
        (["--time-budget", "0"], "--time-budget", ""),
        (["--num-workers", "-1"], "--num-workers is -1", ""),
        (["--batch-size", "64", "--num-samples", "32"], "--batch-size 64 is more than", "--num-samples"),
        (["--resume", "nowhere"], "there is no study nowhere", "latest"),
        (["--resume", "latest", "--num-workers", "2"], "--resume goes on with the settings", "--json"),
    ],
)  # fmt: skip
def test_bad_input(
    flags: list[str],
    message: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A message, what would help, exit code 2, and no study."""
    monkeypatch.chdir(tmp_path)
    assert perform(monkeypatch, FakeEngine(), *flags, command="diagnose") == EXIT_USAGE
    said = capsys.readouterr()
    assert message in said.err and hint in said.err
    assert "Traceback" not in said.err and not said.out
    assert not (tmp_path / ".perfkit").exists()


def blocks(folder: Path) -> list[dict[str, Any]]:
    """The blocks of the only process, as it was stored."""
    stored = json.loads((study(folder) / "generations" / "1.json").read_text())
    (process,) = stored["processes"]
    found: list[dict[str, Any]] = process["blocks"]
    return found


@reads_proc
@pytest.mark.parametrize(
    ("fault", "reason", "message"),
    [
        ("memory", "no_memory", "can't allocate memory"),
        ("worker", "killed", "a loader worker died"),
    ],
)
def test_a_fault_in_an_arm(fault: str, reason: str, message: str, tmp_path: Path) -> None:
    """It costs that arm: what happened is told, and the verdict rests on the real blocks."""
    arguments = ["--arch", "fails_when_replayed", *SIZE, "--json", "out.json"]
    env = environment(PERFKIT_TEST_FAULT=fault)
    code, out, err = bench(tmp_path, *arguments, command="diagnose", env=env)
    row = rows(tmp_path / "out.json")["fails_when_replayed/fp32"]
    assert code in (EXIT_OK, EXIT_INCONCLUSIVE) and row["status"] == "ok"
    assert row["epoch_time_s"]["value"] > 0
    told = [note["text"] for note in row["notes"] if note["code"] == "part_lost"]
    assert any(text.startswith("replayed batches could not be measured") for text in told)
    assert all(message in text for text in told) and message in " ".join(out.split())
    assert row["unavailable"]["replay"] == row["unavailable"]["replay_running"] == reason
    assert "Traceback" not in out + err
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["diagnosis"]["breakdown_s"]["transfer"] > 0
    assert [block["arm"] for block in blocks(tmp_path)] == ["real"] * 12
    assert all_gone(tmp_path)


@reads_proc
def test_an_interrupt_in_an_arm(tmp_path: Path) -> None:
    """Ctrl-C in a replayed block: a verdict on what was timed, how to go on, 130, and nothing runs on."""
    child = start(tmp_path, "--arch", "tiny", *SIZE, command="diagnose")
    events = "processes/1-0/ranks/0/events.jsonl"
    # of the last one the engine may not have heard yet
    wait_for(
        lambda: any(
            path.read_text().count('"block"') > 4 for path in tmp_path.glob(f".perfkit/*/{events}")
        )
    )
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == EXIT_INTERRUPTED
    assert "Traceback" not in out + err and "Not complete" in out
    assert f"go on with: perfkit diagnose --resume {study(tmp_path).relative_to(tmp_path)}" in err
    document = json.loads((study(tmp_path) / "document.json").read_text())
    assert not document["complete"] and document["diagnosis"]["breakdown_s"]["compute"] > 0
    assert "eval" not in document["diagnosis"]["breakdown_s"]
    assert document["diagnosis"]["unavailable"]["eval"] == "interrupted"
    assert not list((study(tmp_path) / "generations").glob("*.json"))
    assert all_gone(tmp_path)
