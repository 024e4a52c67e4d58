"""A child that is asked: its answers, its errors, what else it may print, and when it is another one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from perfkit.engine import child as child_module
from perfkit.engine.child import Child
from perfkit.errors import PerfkitError, UsageError

ECHO = """
while asked is not None:
    if asked == "die":
        sys.stderr.write("last words")
        sys.exit(3)
    sys.stderr.write("earlier words" + chr(10))
    sys.stderr.flush()
    event = "failed" if asked == "fail" else "done"
    print(json.dumps({"event": event, "message": "no", "asked": asked, "pid": os.getpid()}), flush=True)
    line = sys.stdin.readline()
    asked = json.loads(line) if line else None
"""
DONE = """sys.stdout.write(json.dumps({"event": "done", "asked": asked}) + chr(10))\n"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module for a child to run; it has read its first question into `asked`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> str:
        head = "import json, os, sys\nasked = json.loads(sys.stdin.readline())\n"
        (tmp_path / "planted_child.py").write_text(head + body)
        return "planted_child"

    return write


def ask(
    module: str, told: list[dict[str, Any]] | None = None, silent_s: float = 60.0
) -> dict[str, Any]:
    listener = (told if told is not None else []).append
    with Child(module) as asked:
        return asked.ask({"number": 7}, listener, silent_s=silent_s)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def put(asked: Child, question: Any = "what", *workloads: str) -> Any:
    return asked.ask(question, lambda message: None, silent_s=60.0, imports=workloads)


def test_one_process_answers_many_questions(child: Any) -> None:
    """None runs before the first; it answers in order, also after a failure, and is gone at the end."""
    with Child(child(ECHO)) as asked:
        first = put(asked, "one")
        with pytest.raises(PerfkitError, match="no"):
            put(asked, "fail")
        second = put(asked, "two", "a")
        third = put(asked, "three", "a")
        assert [each["asked"] for each in (first, second, third)] == ["one", "two", "three"]
        assert first["pid"] == second["pid"] == third["pid"]
        assert is_running(first["pid"])
    assert not is_running(first["pid"])


def test_workloads_do_not_meet(child: Any) -> None:
    """A process that has imported the file of another workload is ended, and a new one is asked."""
    with Child(child(ECHO)) as asked:
        pids = [put(asked, "what", *each)["pid"] for each in ("ab", "a", "a", "b")]
        assert len(set(pids)) == 3 and pids[1] == pids[2]
        assert [is_running(pid) for pid in pids] == [False, False, False, True]


def test_after_one_that_died_there_is_a_new_one(child: Any) -> None:
    """Its error has what it printed at that question alone; the next question is answered."""
    with Child(child(ECHO)) as asked:
        before = put(asked)
        with pytest.raises(PerfkitError, match=r"without an answer: last words$"):
            put(asked, "die")
        after = put(asked)
        assert after["asked"] == "what" and after["pid"] != before["pid"]
        os.kill(after["pid"], 9)
        asked._running._process.wait()  # type: ignore[union-attr]
        assert put(asked)["pid"] != after["pid"]


def test_an_interrupt_ends_it(child: Any) -> None:
    """Whatever ends the waiting, Ctrl-C or an error of who listens: its answer is to nobody's question."""
    told: list[dict[str, Any]] = []

    def interrupted(message: dict[str, Any]) -> None:
        told.append(message)
        raise KeyboardInterrupt

    says = "print(json.dumps({'event': 'progress', 'pid': os.getpid()}), flush=True)\n"
    asked = Child(child(says + "import time; time.sleep(600)\n"))
    with pytest.raises(KeyboardInterrupt):
        asked.ask({}, interrupted, silent_s=60.0)
    assert not is_running(told[0]["pid"])


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
    asked = Child(child(says + "import time; time.sleep(600)\n"))
    with pytest.raises(PerfkitError, match="no answer"):
        asked.ask({}, told.append, silent_s=0.5)
    assert not is_running(told[0]["pid"])


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

    monkeypatch.setattr(child_module, "time", Clock)
    body = (
        f"import time\nfor n in range(20):\n    {sign}\n    time.sleep(0.2)\n"
        f"    open({str(given)!r}, 'a').write('.')\n"
    )
    assert ask(child(body + DONE), silent_s=600.0)["asked"] == {"number": 7}


def test_no_room_for_a_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even /tmp is full, that is the error."""

    def refuse() -> Any:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(child_module.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PerfkitError, match="temporary") as caught:
        ask("planted_child")
    assert caught.value.hint is not None and "TMPDIR" in caught.value.hint


def test_python_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is gone is an error with its reason, not a traceback."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PerfkitError, match="cannot start"):
        ask("planted_child")
