"""From the answer of a profiled burst, and the trace it wrote, to a Profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfkit.engine import trace
from perfkit.engine.results import Profile
from perfkit.errors import DamagedFile
from perfkit.runfolder import RunFolder


def profile_of(
    folder: RunFolder, name: str, answer: dict[str, Any] | None
) -> tuple[Profile | None, dict[str, str]]:
    """Return what a process answered of its burst, with the trace behind it; and why it cannot be read.

    Args:
        name: where the folder lies, relative to the study.
        answer: None when it was not asked.
    """
    if answer is None:
        return None, {}
    dispatch = answer.get("dispatch") or {}
    found = Profile(
        synchronising=answer.get("synchronising"),
        operators=dispatch.get("operators"),
        operators_share=dispatch.get("operators_share"),
        fixed_share=dispatch.get("fixed_share"),
    )
    if not answer.get("traced"):
        return found, {}
    path = folder.rank(0).trace
    try:
        read = trace.read(path)
    except DamagedFile:
        return found, {"burst": "failed"}
    file = f"{name}/{path.relative_to(folder.path).as_posix()}"
    return replace(found, trace=read, file=file), {}
