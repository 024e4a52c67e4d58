"""Short-lived children: their answers, their errors, and what else they may print."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS
from own_settings import BUILT_IN

from perfkit.config import RunConfig
from perfkit.engine import questions
from perfkit.engine.events import Preparing
from perfkit.errors import PerfkitError, UsageError
from perfkit.settings import Setting

DONE = """sys.stdout.write(json.dumps({"event": "done", "asked": asked}) + chr(10))\n"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module for a child to run; it has read its question into `asked`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> str:
        head = "import json, os, sys\nasked = json.load(sys.stdin)\n"
        (tmp_path / "planted_child.py").write_text(head + body)
        return "planted_child"

    return write


def ask(
    module: str, told: list[dict[str, Any]] | None = None, silent_s: float = 60.0
) -> dict[str, Any]:
    listener = (told if told is not None else []).append
    return questions._ask(module, {"number": 7}, listener, silent_s=silent_s)


def test_a_question_is_answered(child: Any) -> None:
    """The question goes in as JSON and the answer comes back."""
    assert ask(child(DONE))["asked"] == {"number": 7}


def test_what_else_is_printed_is_no_answer(child: Any) -> None:
    """Garbage, half a line of JSON and JSON that is no object do not disturb."""
    noise = (
        r"""sys.stdout.buffer.write(b'garbage\n\x00\xff\n{"event": "done"\n[1]\n"done"\n\n')"""
        + "\n"
    )
    flush = "sys.stdout.flush()\n"
    assert ask(child(noise + flush + DONE))["asked"] == {"number": 7}


def test_much_on_stderr_does_not_block(child: Any) -> None:
    """More warnings than a pipe holds do not stop a child before its answer."""
    assert ask(child("sys.stderr.write('x' * 500_000)\n" + DONE))["asked"] == {"number": 7}


def test_progress_is_passed_on(child: Any) -> None:
    """Messages before the last one go to whoever asked, in order."""
    progress = (
        "for n in range(3): print(json.dumps({'event': 'progress', 'done': n}), flush=True)\n"
    )
    told: list[dict[str, Any]] = []
    ask(child(progress + DONE), told)
    assert [message["done"] for message in told] == [0, 1, 2]


@pytest.mark.parametrize(("exit_code", "kind"), [(2, UsageError), (1, PerfkitError)])
def test_a_failure_is_an_error_of_its_kind(child: Any, exit_code: int, kind: type) -> None:
    """Message, hint and exit code of the child's error are those of ours."""
    message = {"event": "failed", "message": "no", "hint": "yes", "exit_code": exit_code}
    with pytest.raises(PerfkitError) as caught:
        ask(child(f"print(json.dumps({message!r}))\n"))
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("no", "yes")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise RuntimeError('planted')\n", "RuntimeError: planted"),
        ("os._exit(3)\n", "exit code 3"),
        ("os.kill(os.getpid(), 9)\n", "exit code -9"),
    ],
)
def test_a_child_that_dies_is_an_error_that_says_why(child: Any, body: str, why: str) -> None:
    """The last line that it printed, or else how it ended."""
    with pytest.raises(PerfkitError, match=why):
        ask(child(body))


def test_a_child_that_says_nothing_is_given_up(child: Any) -> None:
    """Silence is an end, also after a message; the child is gone then."""
    says = "print(json.dumps({'event': 'progress', 'pid': os.getpid()}), flush=True)\n"
    told: list[dict[str, Any]] = []
    with pytest.raises(PerfkitError, match="no answer"):
        ask(child(says + "import time; time.sleep(600)\n"), told, silent_s=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(told[0]["pid"], 0)


@pytest.mark.parametrize(
    "sign", ["print(json.dumps({'event': 'x'}), flush=True)", "os.write(2, b'.')"]
)
def test_signs_of_life_are_waited_on(
    child: Any, sign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress that is told, or anything that is printed: more time, as often as it comes."""
    given = tmp_path / "given"
    given.write_text("")

    class Clock:
        """Every sign of life comes 40 s after the one before: 800 s in all, and 600 s are given."""

        @staticmethod
        def monotonic() -> float:
            return 40.0 * len(given.read_text())

    monkeypatch.setattr(questions, "time", Clock)
    body = (
        f"import time\nfor n in range(20):\n    {sign}\n    time.sleep(0.2)\n"
        f"    open({str(given)!r}, 'a').write('.')\n"
    )
    assert ask(child(body + DONE), silent_s=600.0)["asked"] == {"number": 7}


def test_torch_that_never_comes_back_is_an_error(
    child: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A survey has its limit, and says what hangs."""
    asked = questions._ask
    silent = child("import time; time.sleep(600)\n")
    monkeypatch.setattr(questions, "SURVEY_S", 0.5)
    monkeypatch.setattr(
        questions, "_ask", lambda module, *rest, **limits: asked(silent, *rest, **limits)
    )
    with pytest.raises(PerfkitError, match="torch did not say") as caught:
        questions.survey("cpu")
    assert caught.value.hint is not None and "import torch" in caught.value.hint


def test_a_prepare_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workload, and how it can say that it is alive."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    monkeypatch.setattr(questions, "LEAST_SILENT_S", 4.0)
    config = RunConfig(arch="never_prepared")
    with pytest.raises(PerfkitError, match="workload never_prepared: its prepare") as caught:
        questions.prepare(config, lambda event: None, timeout_s=1.0)
    assert caught.value.hint is not None and "progress" in caught.value.hint


def test_a_factory_that_never_returns_is_left_to_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the time of a row and no more, and is no error here."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    data = questions.prepare(RunConfig(arch="stalls"), lambda event: None, timeout_s=1.0)
    assert (data.path, data.num_samples) == (None, None)


def test_no_room_for_a_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even /tmp is full, that is the error."""

    def refuse() -> Any:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(questions.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PerfkitError, match="temporary") as caught:
        ask("planted_child")
    assert caught.value.hint is not None and "TMPDIR" in caught.value.hint


def test_python_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is gone is an error with its reason, not a traceback."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PerfkitError, match="cannot start"):
        ask("planted_child")


def test_the_machine_is_surveyed_in_a_process_of_its_own() -> None:
    """The CPU is there on every machine, and torch says so without being imported here."""
    found = questions.survey("cpu")
    assert found["device"] == "cpu"
    assert found["environment"]["torch"] and found["environment"]["cores_usable"] >= 1


def test_workloads_tell_which_settings_they_have(tmp_path: Path) -> None:
    """A stranger's file is imported there, and what it prints disturbs nobody."""
    setting = 'Setting("width", 64, "Units of the hidden layer.", least=8)'
    source = (
        f"from perfkit.training.workload import Setting\nprint('hello')\nSETTINGS = ({setting},)\n"
    )
    (tmp_path / "mine.py").write_text(source)
    arch = f"{tmp_path / 'mine.py'}:factory"
    found = questions.survey("cpu", [arch, "convnext"])["settings"]
    assert found[arch] == (Setting("width", 64, "Units of the hidden layer.", least=8),)
    assert {s.name: s.default for s in found["convnext"]} == BUILT_IN


def test_a_workload_that_is_never_imported_is_named(
    child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs, and not torch."""
    asked = questions._ask
    says = "print(json.dumps({'event': 'importing', 'arch': 'mine'}), flush=True)\n"
    silent = child(says + "import time; time.sleep(600)\n")
    monkeypatch.setattr(questions, "SURVEY_S", 0.5)
    monkeypatch.setattr(
        questions, "_ask", lambda module, *rest, **limits: asked(silent, *rest, **limits)
    )
    with pytest.raises(PerfkitError, match="workload mine: importing its file took more"):
        questions.survey("cpu", ["mine"])


def test_an_unknown_device_is_a_usage_error() -> None:
    """A device that torch does not know is what the user asked for, not a failure of ours."""
    with pytest.raises(UsageError, match="warp"):
        questions.survey("warp:9")


def test_a_workload_without_data_of_its_own_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made for the tiny workload; how long its dataset is comes back."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    events: list[Any] = []
    data = questions.prepare(RunConfig(arch="tiny", num_samples=48), events.append, timeout_s=60)
    assert (data.path, data.num_samples) == (None, 48)
    assert not any(isinstance(event, Preparing) for event in events)
