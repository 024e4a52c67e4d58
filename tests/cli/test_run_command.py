"""`perfkit run -- COMMAND` as a process: exit codes, streams, signals, and what it says of a training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from unlisted import unlisted

from perfkit import documentfile as documents
from perfkit.cli.main import main

PERFKIT = (sys.executable, "-m", "perfkit")
TRAINS = """
import sys, time, torch
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 160
    def __getitem__(self, index):
        time.sleep(0.001)
        return torch.randn(4), index % 2

torch.set_num_threads(1)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for inputs, targets in DataLoader(Slow(), batch_size=4):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
print("trained", flush=True)
"""


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `perfkit run` in a folder of its own."""
    return subprocess.run(
        [*PERFKIT, "run", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


Here = Callable[..., object]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Run it in this process, in a folder of its own; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def perform(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["perfkit", "run", *arguments])
        with pytest.raises(SystemExit) as leave:
            main()
        return leave.value.code

    return perform


def started(folder: Path, code: str) -> subprocess.Popen[str]:
    """Start it on a script, in a process group of its own, and wait until the script has begun."""
    (folder / "script.py").write_text(code)
    child = subprocess.Popen(
        [*PERFKIT, "run", "--", sys.executable, "script.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if (folder / "begun").exists():
            return child
        time.sleep(0.05)
    child.kill()
    raise AssertionError("the script has not begun")


def only_ours(stderr: str) -> bool:
    return all(line.startswith("perfkit:") for line in stderr.splitlines())


def test_nothing_trained_is_said_in_a_line(tmp_path: Path) -> None:
    """The script's own output is all there is on stdout; its exit code is ours."""
    done = run(tmp_path, "--", sys.executable, "-c", "print('hello'); raise SystemExit(3)")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    lines = done.stderr.splitlines()
    assert len(lines) == 3 and only_ours(done.stderr)
    assert lines[0].startswith("perfkit: watching ") and "nothing trained" in lines[1]
    assert "sudo" not in lines[1]  # it has failed, and says itself why
    (study,) = (tmp_path / ".perfkit").glob("*-run")
    assert documents.read(study / "document.json").rows == ()


@pytest.mark.parametrize("flags", [(), ("-I",)])
def test_a_command_that_is_not_reached_is_told_from_one_that_trains_nothing(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Both import torch; with `-I` Python takes nothing from its environment."""
    done = run(tmp_path, "--", sys.executable, *flags, "-c", "import torch")
    assert done.returncode == 0
    assert ("that it reached has imported torch" in done.stderr) == bool(flags)
    assert ("no update of an optimizer" in done.stderr) == (not flags)


def test_streams_are_the_script_s_own(tmp_path: Path) -> None:
    """What it is given on stdin it reads, and its arguments are not ours."""
    code = "import sys; print(sys.stdin.read(), sys.argv)"
    done = subprocess.run(
        [*PERFKIT, "run", sys.executable, "-c", code, "--json", "-"],
        cwd=tmp_path,
        input="given",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "given ['-c', '--json', '-']\n")


@pytest.mark.parametrize(
    ("command", "code"), [("no-such-command-here", 127), ("./not_executable", 126)]
)
def test_a_command_that_cannot_be_started_ends_as_in_a_shell(
    tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    """With an error of ours that names it, and no study: the one before stays the latest."""
    (tmp_path / "not_executable").write_text("")
    assert here("--", command) == code
    assert not list(tmp_path.glob(".perfkit/*-run"))
    assert capsys.readouterr().err.startswith(f"error: cannot start {command}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--",),
        ("--json", "-", "--", "true"),
        ("--json", "no/such/folder.json", "--", "true"),
        ("--steps", "0", "--", "true"),
        ("--stop", "--", "true"),
        ("--no-such-flag", "--", "true"),
    ],
)
def test_usage_errors_are_told_before_anything_runs(
    here: Here, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """With exit code 2, which is no script's here."""
    assert here(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and "error: " in said.err and "watching" not in said.err


WAITS = """
import pathlib, signal, sys, time
{handlers}
pathlib.Path("begun").touch()
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signals_are_passed_on(tmp_path: Path, name: str) -> None:
    """A script that dies of one ends us with 128 and its number, as a shell would tell it."""
    child = started(tmp_path, WAITS.format(handlers=""))
    number = getattr(signal, name)
    child.send_signal(number)
    _, stderr = child.communicate(timeout=30)
    assert child.returncode == 128 + number
    assert only_ours(stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_an_interrupt_is_the_script_s_to_handle(tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches both: what the script makes of it is what we end with."""
    handler = "signal.signal(signal.SIGINT, lambda *_: (print('bye', flush=True), sys.exit(7)))"
    child = started(tmp_path, WAITS.format(handlers=handler))
    os.killpg(child.pid, signal.SIGINT)
    stdout, stderr = child.communicate(timeout=30)
    assert (child.returncode, stdout) == (7, "bye\n")
    assert only_ours(stderr) and "Traceback" not in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_an_interrupt_is_not_ignored_in_the_script(tmp_path: Path) -> None:
    """Python's own handler is there: the default was not taken from it."""
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert run(tmp_path, "--", sys.executable, "-c", code).stdout == "True\n"


def test_the_study_goes_to_the_cache_where_the_folder_is_not_writable(tmp_path: Path) -> None:
    """And it says so, in a line of its own."""
    work, cache = tmp_path / "work", tmp_path / "cache"
    work.mkdir()
    (work / ".perfkit").write_text("in the way")
    done = run(work, "--", "true", PERFKIT_CACHE_DIR=str(cache))
    assert done.returncode == 0 and only_ours(done.stderr)
    assert "cannot write to .perfkit" in done.stderr and str(cache) in done.stderr
    assert list(cache.glob("**/document.json"))


def test_a_script_s_training_is_diagnosed(tmp_path: Path) -> None:
    """A data set that sleeps: waiting for data, at the line that iterates over it."""
    (tmp_path / "train.py").write_text(TRAINS)
    done = run(tmp_path, "--json", "out.json", "--", sys.executable, "train.py")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert only_ours(done.stderr)
    document = documents.read(tmp_path / "out.json")
    (row,) = document.rows
    assert (document.kind, row.key, document.method["steps"]) == ("run", "run", 80)
    assert unlisted(document) == set()
    assert document.method["loaders"][0]["where"] == "train.py:16"
    assert row.exposed_wait_s is not None and row.exposed_wait_s >= 0.004
    assert document.diagnosis is not None
    # on a machine that is busy with other things nothing is concluded
    assert document.diagnosis.primary in ("input_bound", "inconclusive")
    if document.diagnosis.primary == "input_bound":
        assert "train.py:16" in done.stderr


def test_diagnose_of_a_command_is_run(tmp_path: Path) -> None:
    """The script's streams and exit code, the study of a run; a flag behind the command is its own."""
    code = "import sys; print(sys.argv[1:]); raise SystemExit(3)"
    done = subprocess.run(
        [*PERFKIT, "diagnose", "--", sys.executable, "-c", code, "--verify"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, "['--verify']\n")
    assert only_ours(done.stderr) and "nothing trained" in done.stderr
    (study,) = (tmp_path / ".perfkit").glob("*-run")
    assert documents.read(study / "document.json").kind == "run"


@pytest.mark.parametrize(
    "flags",
    [("--verify",), ("--arch", "convnext"), ("--workload", "convnext"), ("--seed", "0"),
     ("--resume", "latest"), ("--no-pin-memory",)],
)  # fmt: skip
def test_diagnose_takes_no_flags_of_a_measurement_beside_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
) -> None:  # fmt: skip
    """Not even one that says what is so anyway; nothing is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["perfkit", "diagnose", *flags, "--", "true"])
    with pytest.raises(SystemExit) as leave:
        main()
    said = capsys.readouterr()
    assert leave.value.code == 2
    assert "has no meaning beside a command: true is run as it is" in said.err
    assert "hint: leave --" in said.err and "watching" not in said.err
