"""From the write that PERFKIT_TEST_FULL_AT names on, this process finds the disk full.

Imported by every Python that finds it on its path. A reply is no write to a disk, and is let through.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

AT = os.environ.get("PERFKIT_TEST_FULL_AT", "")


def _plant() -> None:
    import tempfile

    from perfkit import runfolder

    state = {"full": False}

    def refuse(name: str) -> None:
        state["full"] = state["full"] or AT in name
        if state["full"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    append = runfolder.JsonLines.append

    def planted_append(self: Any, item: dict[str, Any]) -> None:
        refuse(str(item.get("event")))
        append(self, item)

    mkstemp = tempfile.mkstemp

    def planted_mkstemp(*args: Any, prefix: str = "", **more: Any) -> Any:
        refuse(prefix)
        return mkstemp(*args, prefix=prefix, **more)

    runfolder.JsonLines.append = planted_append  # type: ignore[method-assign]
    tempfile.mkstemp = planted_mkstemp


if AT and "perfkit.training.player" in sys.orig_argv:
    _plant()
