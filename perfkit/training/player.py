"""The child that the engine starts: builds one training and runs what it is told, on demand.

    python -m perfkit.training.player RUN_FOLDER

Commands come one at a time (`perfkit.training.channel`); each answer is also an event in the run
folder. The first failure ends the process: its status and message are the last answer.

    warm_up  {seconds}               first batch, first step, then steps until caches have settled
    block    {block, arm, steps}     one timed stretch of steps; beside other arms {block, arm, seconds}
    load     {seconds}               the loader alone
    edges    {repeat_s}              what an epoch has besides its steps; memory at the end of it
    epoch    {}                      one real epoch, timed
    try      {steps}                 a few steps: do they fit into memory
    examine  {seed, perturbations}   losses, FLOPs, ceilings of the device
    quit     {}                      out
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.runfolder import RunFolder
from perfkit.training.channel import Channel


def main() -> None:
    """Entry point; see the module's text."""
    channel = Channel()
    # absolute, and before anything else: a workload may change its working directory
    folder = RunFolder(Path(sys.argv[1]).absolute())
    events = folder.rank(0).events
    player: Any = None

    def send(event: str, **values: Any) -> None:
        message = _message(event, **values)
        # an answer that is not on disk is none: what is there is all that counts later
        events.append(message)
        channel.reply(message)

    try:
        send("hello")
        # torch is imported here and not above: the engine hears of us within a tenth of a second
        player = _build(folder)
        send("ready", **player.describe())
        while True:
            command = channel.receive()
            action = command.pop("do")
            answer = getattr(player, f"do_{action}")(**command)
            if action == "quit":
                # all is on disk before the answer: the engine kills whoever has answered
                folder.write("status", {"status": "ok", "message": None})
            send("done", do=action, **answer)
            if action == "quit":
                break
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        while True:
            # it may do so on the way there, once for every worker; no `with contextlib.suppress(…)` here:
            # that calls Python before it protects, and a call is where a handler runs
            try:
                _silence_lost_workers()
                break
            except RuntimeError:
                pass
        channel.reply(_last_words(folder, player, error))
        sys.exit(1)


def _silence_lost_workers() -> None:
    """Take torch's signal handler away, which raises from any line once a loader worker has died."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _last_words(folder: RunFolder, player: Any, error: BaseException) -> dict[str, Any]:
    """Write down how it ended, and return the reply: whatever goes wrong here, it is sent."""
    import traceback

    from perfkit.training.failures import classify

    status, message = classify(error)
    reply = _message("failed", status=status, message=message)
    words: list[Callable[[], Any]] = [
        lambda: traceback.print_exception(error),
        sys.stderr.flush,
        lambda: folder.write("status", {"status": status, "message": message}),
        lambda: folder.rank(0).events.append(reply),
    ]
    if player is not None:
        # last: on a device that has failed it may do so again
        words.append(player.close)
    for word in words:
        # a full disk is one of the things that can have ended it
        with contextlib.suppress(Exception):
            word()
    return reply


def _message(event: str, **values: Any) -> dict[str, Any]:
    return {"event": event, "t_ns": time.perf_counter_ns(), **values}


def _build(folder: RunFolder) -> Any:
    from perfkit.training.commands import Commands

    return Commands(folder)


if __name__ == "__main__":
    main()
