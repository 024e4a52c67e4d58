"""The command line as a whole: help, what becomes of errors, and where output goes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfkit import __version__
from perfkit.cli import main as module
from perfkit.errors import DamagedFile, PerfkitError, UsageError

MET_IN_ORDER = ("bench", "diagnose", "run", "report", "compare", "monitor", "doctor")
"""Commands in the order a user meets them; those that are built are listed so."""
HEAVY = ("torch", "numpy", "pandas", "matplotlib", "pynvml", "perfkit.study", "perfkit.engine")


def perfkit(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run perfkit in a process of its own, its output not a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "perfkit", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )


def ended(patch: pytest.MonkeyPatch, app: Callable[..., object]) -> object:
    """The exit code of `main` around a command line that does as told."""
    patch.setattr(module, "app", app)
    with pytest.raises(SystemExit) as leave:
        module.main()
    return leave.value.code


def raising(error: BaseException) -> Callable[..., object]:
    def app(**_: object) -> None:
        raise error

    return app


def test_help_lists_commands_in_the_order_of_use() -> None:
    """A user reads from the top what to run first."""
    done = perfkit("--help", COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^\W*(\w+) {2,}\S", done.stdout.split("Commands")[1], re.MULTILINE)
    assert listed == [name for name in MET_IN_ORDER if name in listed]
    assert listed[0] == "bench" and len(listed) == len(module.app.registered_commands)


def test_help_imports_nothing_heavy() -> None:
    """Neither torch nor pandas nor matplotlib, and nothing of ours that a study needs."""
    code = (
        "import sys; sys.argv = ['perfkit', '--help']\n"
        "from perfkit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(repr([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]"


@pytest.mark.parametrize("arguments", [("--help",), ("bench", "--help")])
def test_help_is_plain_and_as_wide_as_the_terminal(arguments: tuple[str, ...]) -> None:
    """No escape codes in a pipe; on 60 columns no line is longer."""
    text = perfkit(*arguments, COLUMNS="60").stdout
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 60


def test_the_version_is_told() -> None:
    """One line, and nothing is run."""
    done = perfkit("--version")
    assert (done.returncode, done.stdout) == (0, f"perfkit {__version__}\n")


def test_no_command_shows_the_help() -> None:
    """It is a usage error that shows what there is."""
    done = perfkit()
    assert done.returncode == 2
    assert "bench" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("error", "code"), [(UsageError, 2), (DamagedFile, 2), (PerfkitError, 1)])
def test_an_error_is_a_message_a_hint_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[PerfkitError],
    code: int,
) -> None:
    """On stderr, without a traceback; an error without a hint has no hint line."""
    assert ended(monkeypatch, raising(error("it is so", hint="do this"))) == code
    assert capsys.readouterr() == ("", "error: it is so\nhint: do this\n")
    assert ended(monkeypatch, raising(error("it is so"))) == code
    assert capsys.readouterr() == ("", "error: it is so\n")


def test_a_bug_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody foresaw shows where it came from and asks to be reported."""
    assert ended(monkeypatch, raising(KeyError("planted"))) == 3
    told = capsys.readouterr().err
    assert "Traceback" in told and "planted" in told and "bug of perfkit" in told


def test_an_interrupt_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C before anything was measured: one word, and the code of interrupts."""
    assert ended(monkeypatch, raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("code", [0, 1, 4, 130])
def test_a_command_decides_its_exit_code(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What a command returns is what the process exits with."""
    assert ended(monkeypatch, lambda **_: code) == code


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there break otherwise")
@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_a_reader_that_has_left_is_told_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """`perfkit … | head -1` ends without a word when nobody reads on."""
    reading, writing = os.pipe()
    os.close(reading)
    with (tmp_path / "stderr").open("w+b") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "perfkit", *arguments], stdout=writing, stderr=errors
        )
        os.close(writing)
        child.wait(60)
        errors.seek(0)
        assert errors.read() == b""
