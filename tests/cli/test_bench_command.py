"""`perfkit bench` whole, from its flags down to the Document and the exit code, on exact numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench_command import ENVIRONMENT, Command
from fake_engine import FakeEngine
from own_settings import BUILT_IN
from unlisted import unlisted

from perfkit import documentfile as documents
from perfkit.config import RunConfig
from perfkit.document import Document
from perfkit.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    PerfkitError,
)
from perfkit.runfolder import StudyFolder, read_json, write_json
from perfkit.study import search

FP32, AMP = "convnext/fp32", "convnext/amp"
TWO_ROWS = ("--arch", "convnext", "--amp")


def test_two_rows(command: Command) -> None:
    """FP32 and AMP: 128 steps of 0.1 and 0.08 s, a start and an evaluation; 1.23× and the table."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, epoch_start_s=0.2, evaluation_s=0.45)
    ran = command(engine, *TWO_ROWS, "--num-samples", "2048", "--json", "out.json")
    assert ran.code == EXIT_OK
    assert documents.read(Path("out.json")) == ran.document
    document = ran.document
    assert unlisted(document) == set()
    assert (document.kind, document.complete) == ("bench", True)
    assert (
        document.command == "perfkit bench --arch convnext --amp --num-samples 2048 --json out.json"
    )
    assert document.environment == ENVIRONMENT
    assert (document.base["num_samples"], document.base["batch_size"]) == (2048, 16)
    reference, amp = document.rows
    assert (reference.key, amp.key) == (FP32, AMP)
    assert reference.epoch_time_s is not None and amp.speedup is not None
    assert reference.epoch_time_s.value == pytest.approx(128 * 0.1 + 0.65)
    assert amp.speedup.value == pytest.approx((12.8 + 0.65) / (10.24 + 0.65))
    assert amp.speedup.outcome == "faster"
    assert amp.telemetry == {"cpu_busy_share": 0.5}
    assert amp.loss == pytest.approx({"distance": 0.0, "tolerance": 40 * 2.0**-8})
    # settled at once: a start of 5 s and four blocks of 1 s for each palindrome, two in the first
    assert document.method["generations"] == 4 and document.method["ended_early"]
    assert document.method["elapsed_s"] == engine.now_s == 13 + 3 * 9
    assert [plan.reverse for plan in engine.plans] == [False, True, False, True]
    assert [finding.kind for finding in document.findings] == ["input_bound", "periodic_bound"]
    assert "amp trains an epoch 1.24× as fast as fp32" in ran.out
    assert "sized for 2 cores" in ran.err and "stored in .perfkit" in ran.err


def test_flags_reach_the_processes(command: Command) -> None:
    """Settings, pinned generations and steps, the seed and the order of running are in every plan."""
    engine = FakeEngine({FP32: 0.1, f"{FP32}+num_workers=0": 0.2})
    flags = (
        "--arch", "convnext", "--variant", "num_workers=0", "--batch-size", "8", "--threads", "1",
        "--generations", "2", "--steps", "7", "--seed", "3", "--sequential", "--full-epoch",
    )  # fmt: skip
    ran = command(engine, *flags)
    assert ran.code == EXIT_OK
    assert [plan.number for plan in engine.plans] == [1, 2]
    for plan in engine.plans:
        assert (plan.steps, plan.side_by_side, plan.full_epoch) == (7, False, True)
        configs = [row.config for row in plan.rows]
        assert [c.num_workers for c in configs] == [1, 0]
        assert {(c.batch_size, c.num_threads, c.seed) for c in configs} == {(8, 1, 3)}
    assert engine.plans[0].examine is not None
    assert engine.plans[0].examine[FP32].seed == 3
    assert ran.document.method["interval"] == "95 %, Student's t over generations"
    assert ran.document.rows[1].speedup is not None
    assert ran.document.rows[1].speedup.outcome == "inconclusive", "two generations settle nothing"


def test_the_largest_batch(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search tries sizes within the limit; rows get what it found, and a learning rate to match."""
    tried: list[tuple[int, bool]] = []

    def fits(folder: Path, config: RunConfig, *, timeout_s: float, rehearse: bool) -> bool:
        assert config.memory_limit_bytes == 700 * 10**6 and config.arch == "convnext"
        tried.append((config.batch_size, rehearse))
        engine.now_s += 60
        return config.batch_size <= (150 if rehearse else 160)

    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    monkeypatch.setattr(search, "fits", fits)
    monkeypatch.setattr(search, "monotonic", engine.clock)
    flags = ("--batch-size", "max", "--memory-limit", "700MB", "--learning-rate", "0.016")
    ran = command(engine, *TWO_ROWS, *flags, "--num-samples", "2048")
    assert ran.code == EXIT_OK
    searched = [16, 32, 64, 128, 256, 192, 160, 176, 168, 164]
    assert tried == [(n, False) for n in searched] + [(n, True) for n in (156, 152, 148)]
    assert "batch 148 is 7.5% below the largest that ran a few steps, 160; 164 ran out" in ran.err
    for planned in engine.plans[0].rows:
        assert planned.config.batch_size == 148
        assert planned.config.learning_rate == pytest.approx(0.016 * 148 / 16)
    assert ran.document.base["batch_size"] == 148
    # ten minutes and more of searching are not paid from the two minutes of the study
    assert ran.document.method["elapsed_s"] == engine.now_s - 60 * len(tried) > 0
    assert "batch 176 does not fit (a few steps, 60.0 s)" in ran.err
    assert ran.document.method["side_by_side"] is False


def test_json_to_stdout(command: Command) -> None:
    """With `--json -` stdout is the Document and the table goes to stderr."""
    ran = command(FakeEngine({FP32: 0.1, AMP: 0.08}), *TWO_ROWS, "--json", "-")
    assert ran.code == EXIT_OK
    assert documents.loads(ran.out) == ran.document
    assert "Speed-up" in ran.err


def test_a_failed_row(command: Command) -> None:
    """The others are measured, and the exit code tells."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails={(AMP, 1): "nan_loss"})
    ran = command(engine, *TWO_ROWS)
    assert ran.code == EXIT_FAILED
    assert [row.status for row in ran.document.rows] == ["ok", "nan_loss"]
    assert "planted nan_loss" in ran.out


def test_a_lost_part_is_no_failure(command: Command) -> None:
    """Measured is measured: what came after the blocks is a note, a reason, and exit code 0."""
    loses = {(AMP, n): ["evaluation", "losses"] for n in range(1, 9)}
    ran = command(FakeEngine({FP32: 0.1, AMP: 0.08}, loses=loses), *TWO_ROWS)
    assert ran.code == EXIT_OK
    amp = ran.document.rows[1]
    assert (amp.status, amp.epoch_time_s) == ("ok", None)
    assert amp.step_speedup is not None and amp.step_speedup.outcome == "faster"
    assert "planted evaluation" in ran.out and "planted losses" in ran.out


def test_an_interrupt_and_going_on(command: Command) -> None:
    """Ctrl-C leaves what was measured and the command that goes on; that ends as if it had not been."""
    first = FakeEngine({FP32: 0.1, AMP: 0.08}, interrupt_in=3)
    ran = command(first, *TWO_ROWS)
    folder = StudyFolder.find("latest").path
    assert ran.code == EXIT_INTERRUPTED
    assert (ran.document.complete, ran.document.method["generations"]) == (False, 2)
    assert f"go on with: perfkit bench --resume {folder}" in ran.err
    second = FakeEngine({FP32: 0.1, AMP: 0.08})
    ran = command(second, "--resume", str(folder))
    assert ran.code == EXIT_OK
    assert [plan.number for plan in second.plans] == [3, 4]
    assert (ran.document.complete, ran.document.method["generations"]) == (True, 4)
    assert ran.document.method["elapsed_s"] == 13 + 3 * 9
    assert ran.document.command == "perfkit bench --arch convnext --amp"


def test_a_study_of_the_version_before(command: Command) -> None:
    """What it stored is gone on with: no kind, losses of three seeds, no word of what came later."""
    command(FakeEngine({FP32: 0.1, AMP: 0.08}, interrupt_in=2), *TWO_ROWS)
    folder = StudyFolder.find("latest")
    study = read_json(folder.path / "study.json")
    write_json(folder.path / "study.json", {k: study[k] for k in ("plan", "frame")})
    later = ("lost", "phases_clock", "not_ready_share", "run_delay_s", "drained", "drain_s")
    stored = read_json(folder.generation(1))
    for process in stored["processes"]:
        process["examined"] = {"losses": {str(seed): [1.0 + seed, 0.9] for seed in range(3)}}
        for part in (process, *process["blocks"]):
            for name in (*later, "workers_cpu_s"):
                part.pop(name, None)
    write_json(folder.generation(1), stored)
    ran = command(FakeEngine({FP32: 0.1, AMP: 0.08}), "--resume", "latest")
    assert ran.code == EXIT_OK
    amp = ran.document.rows[1]
    assert (amp.generations, amp.loss) == (4, {"distance": 0.0, "tolerance": None})


def test_another_commands_study(command: Command) -> None:
    """It is left to that command, with its own line."""
    command(FakeEngine({FP32: 0.1, AMP: 0.08}), *TWO_ROWS)
    path = StudyFolder.find("latest").path / "study.json"
    write_json(path, {**json.loads(path.read_text()), "kind": "diagnose"})
    ran = command(FakeEngine({}), "--resume", "latest")
    assert ran.code == EXIT_USAGE
    assert f"hint: go on with: perfkit diagnose --resume {path.parent}" in ran.err


def test_the_document_that_cannot_be_written(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up ends the command with what to do; the generation is kept."""
    write, kept = documents.write, []

    def full(document: Document, path: Path) -> None:
        if document.method["generations"] == 2 and not kept:
            kept.append(document)
            raise PerfkitError("cannot write document.json: No space left on device")
        write(document, path)

    monkeypatch.setattr(documents, "write", full)
    ran = command(FakeEngine({FP32: 0.1, AMP: 0.08}), *TWO_ROWS)
    folder = StudyFolder.find("latest").path
    assert ran.code == EXIT_FAILED
    assert f"hint: free some space, then go on with: perfkit bench --resume {folder}" in ran.err
    assert ran.document.method["generations"] == 1
    ran = command(FakeEngine({FP32: 0.1, AMP: 0.08}), "--resume", "latest")
    assert (ran.code, ran.document.method["generations"]) == (EXIT_OK, 4)


def test_settings_of_the_workload_reach_the_processes(command: Command) -> None:
    """By a flag, by --set and by a sweep, as values; the Document has them beside the others."""
    keys = [f"{FP32}+num_blocks=1", f"{FP32}+num_blocks=2"]
    engine = FakeEngine(dict.fromkeys(keys, 0.1))
    flags = (
        "--arch",
        "convnext",
        "--viz-every",
        "0",
        "--set",
        "base_channels=8",
        "--generations",
        "1",
    )
    ran = command(engine, *flags, "--sweep", "num_blocks=1,2")
    assert ran.code == EXIT_OK
    usual = {**BUILT_IN, "viz_every": 0, "base_channels": 8}
    assert {row.key: row.config.workload for row in engine.plans[0].rows} == {
        key: {**usual, "num_blocks": number} for number, key in enumerate(keys, start=1)
    }
    assert ran.document.base["base_channels"] == 8 and "workload" not in ran.document.base
