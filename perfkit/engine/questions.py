"""What a child with torch is asked before anything is measured: what machine is this, is the data there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.child import Child, TimeOut
from perfkit.engine.events import Event, Preparing
from perfkit.errors import PerfkitError, UsageError
from perfkit.settings import Setting

SURVEY_S = 120.0
"""How long torch may take to say which device there is: a first import from a cold network disk included."""
LEAST_SILENT_S = 60.0
"""A workload's file may import for so long without a word, however short the limit of its row is."""


def survey(
    device: str | None, archs: Sequence[str] = (), child: Child | None = None
) -> dict[str, Any]:
    """Ask, in another process, torch which device there is, and workloads which settings they have.

    Args:
        device: as the user wrote it, or None for the best there is.
        archs: the workloads; their files are imported.
        child: who is asked, and goes on running; None for one that ends with its answer.

    Returns:
        `device` (a torch device name), `environment`, and `settings`: by workload, a tuple of `Setting`.

    Raises:
        UsageError: there is no such device or workload.
        PerfkitError: torch cannot be imported, or the child died or hung.
    """
    importing: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message.get("event") == "importing":
            importing.append(str(message["arch"]))

    question = {"device": device, "archs": list(archs)}
    try:
        with _own_or(child) as asked:
            answer = asked.ask({"survey": question}, hear, silent_s=SURVEY_S, imports=archs)
        declared = answer["settings"].items()
        found = {arch: tuple(from_json(Setting, one) for one in each) for arch, each in declared}
        return {**answer, "settings": found}
    except TimeOut as error:
        if importing:
            raise PerfkitError(
                f"workload {importing[-1]}: importing its file took more than {SURVEY_S:.0f} s"
            ) from error
        raise PerfkitError(
            f"torch did not say within {SURVEY_S:.0f} s which device there is",
            hint="see whether `python -c 'import torch; print(torch.cuda.is_available())'` comes back",
        ) from error


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is known of a workload's data before it is trained on."""

    path: str | None
    """Where it lies; None when nothing was made or checked."""
    num_samples: int | None
    """Length of a dataset whose length is its own; None where it is the configuration's."""


def prepare(
    config: RunConfig,
    emit: Callable[[Event], None],
    *,
    timeout_s: float,
    child: Child | None = None,
) -> Data:
    """Make the data of a workload where it is not there yet.

    Args:
        timeout_s: how long building the workload may take. One that takes longer, or kills its process,
            is left to its row, which then says so. Also how long its `prepare` may go without telling
            progress or printing, but that is at least `LEAST_SILENT_S`.
        child: who is asked, and goes on running; None for one that ends with its answer.

    Raises:
        UsageError: the workload or its data cannot be had.
        PerfkitError: no space, no permission, or the child died or hung.
    """
    built: dict[str, Any] = {}
    silent_s = max(timeout_s, LEAST_SILENT_S)

    def hear(message: dict[str, Any]) -> float | None:
        if message.get("event") == "progress":
            emit(Preparing(message["done"], message["total"], message.get("path") or ""))
        if message.get("event") != "building":
            return None
        built.update(message)
        return timeout_s

    try:
        with _own_or(child) as asked:
            question = {"prepare": to_json(config)}
            answer = asked.ask(question, hear, silent_s=silent_s, imports=[config.arch])
    except UsageError:
        raise
    except PerfkitError as error:
        if built:
            answer = built
        elif isinstance(error, TimeOut):
            raise PerfkitError(
                f"workload {config.arch}: its prepare gave no sign of life for {silent_s:g} s",
                hint="call progress(done, total, path) from it while it works, or raise --timeout",
            ) from error
        else:
            raise
    return Data(path=answer.get("path"), num_samples=answer.get("num_samples"))


def _own_or(child: Child | None) -> Child | nullcontext[Child]:
    """A child that ends with the block, or the given one, which does not."""
    return Child() if child is None else nullcontext(child)
