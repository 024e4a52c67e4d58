"""A command of somebody else's, started as if we were not there: its streams, its group, its signals."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from perfkit.errors import PerfkitError

NOT_FOUND, NOT_STARTED = 127, 126
"""Exit codes of a shell for a command that is not there, and for one that cannot be run."""
_FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class CannotStart(PerfkitError):
    """The command is not there, or cannot be run; the exit code is a shell's."""

    def __init__(self, command: str, error: OSError) -> None:
        missing = isinstance(error, FileNotFoundError)
        super().__init__(
            f"cannot start {command}: {error.strerror or error}",
            hint="it is looked for as a shell does, in PATH" if missing else None,
        )
        self.exit_code = NOT_FOUND if missing else NOT_STARTED


class AttachedProcess:
    """A command on our own streams, in our process group, so that a terminal's Ctrl-C reaches it by itself.

    SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 that we get are passed on. SIGINT is not: the terminal sends it to
    the whole group. What was ignored when we were started stays ignored, as with `nohup`. Use it as a context
    manager, in the main thread.

    Raises:
        CannotStart: on entering, the command is not there or cannot be run.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environ = dict(environ)
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._signals = contextlib.ExitStack()

    def __enter__(self) -> AttachedProcess:
        self._signals.enter_context(_handled(self._pass_on))
        try:
            # whatever was open for it when we were started stays open
            self._child = subprocess.Popen(self._command, env=self._environ, close_fds=False)
        except OSError as error:
            self._signals.close()
            raise CannotStart(self._command[0], error) from error
        for number in self._early:
            self._pass_on(number)
        return self

    def __exit__(self, *_: object) -> None:
        self._signals.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None
        return self._child.pid

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; return its exit code, 128 + n after signal n, or None where it goes on."""
        assert self._child is not None
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def _pass_on(self, number: int) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            with contextlib.suppress(OSError):
                self._child.send_signal(number)


@contextlib.contextmanager
def _handled(pass_on: Callable[[int], None]) -> Iterator[None]:
    """Have signals passed on, and SIGINT do nothing, inside the with-block.

    SIGINT gets a function and not SIG_IGN, which the command would inherit.
    """

    def nothing(number: int, frame: FrameType | None) -> None:
        pass

    def forward(number: int, frame: FrameType | None) -> None:
        pass_on(number)

    wanted = {getattr(signal, name): forward for name in _FORWARDED if hasattr(signal, name)}
    wanted[signal.SIGINT] = nothing
    before = {}
    for number, handler in wanted.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def peak_rss_bytes(pid: int) -> int | None:
    """Return the peak of a process's resident memory (Linux: VmHWM); None where it cannot be read."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("VmHWM:")), "")
    except OSError:
        return None
    words = line.split()
    return int(words[1]) * 1024 if len(words) > 1 and words[1].isdecimal() else None
