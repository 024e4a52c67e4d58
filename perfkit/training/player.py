"""The child that the engine starts: builds one training and runs what it is told, on demand.

    python -m perfkit.training.player RUN_FOLDER

Commands come one at a time (`perfkit.training.channel`); each answer is also an event in the run
folder. The first failure ends the process: its status and message are the last answer.

    warm_up  {seconds}               first batch, first step, then steps until caches have settled
    block    {block, arm, steps}     one timed stretch of steps
    edges    {}                      what an epoch has besides its steps; memory at the end of it
    epoch    {}                      one real epoch, timed
    try      {steps}                 a few steps: do they fit into memory
    examine  {seeds}                 losses by seed, FLOPs, ceilings of the device
    quit     {}                      out
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from perfkit.runfolder import RunFolder
from perfkit.training.channel import Channel


def main() -> None:
    """Entry point; see the module's text."""
    channel = Channel()
    folder = RunFolder(Path(sys.argv[1]))
    events = folder.rank(0).events

    def tell(event: str, **values: Any) -> None:
        message = {"event": event, "t_ns": time.perf_counter_ns(), **values}
        try:
            events.append(message)
        finally:
            channel.reply(message)

    tell("hello")
    player: Any = None
    try:
        # torch is imported here and not above: the engine hears of us within a tenth of a second
        player = _build(folder)
        tell("ready", **player.describe())
        while True:
            command = channel.receive()
            action = command.pop("do")
            answer = getattr(player, f"do_{action}")(**command)
            tell("done", do=action, **answer)
            if action == "quit":
                folder.write("status", {"status": "ok", "message": None})
                break
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        from perfkit.training.failures import classify

        status, message = classify(error)
        # a full disk is one of the things that can have failed: each is tried, the reply is sent anyway
        if player is not None:
            with contextlib.suppress(OSError):
                player.close()
        with contextlib.suppress(OSError):
            _leave_word(folder, status, message)
        with contextlib.suppress(OSError):
            tell("failed", status=status, message=message)
        sys.exit(1)


def _leave_word(folder: RunFolder, status: str, message: str) -> None:
    import traceback

    traceback.print_exc()
    sys.stderr.flush()
    folder.write("status", {"status": status, "message": message})


def _build(folder: RunFolder) -> Any:
    from perfkit.training.commands import Commands

    return Commands(folder)


if __name__ == "__main__":
    main()
