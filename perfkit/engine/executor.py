"""The executor: what a study is given to run its plans on real processes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from perfkit.codec import from_json, to_json
from perfkit.engine.events import Event, GenerationDone
from perfkit.engine.generation import Generation
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.errors import NO_SPACE, DamagedFile, PerfkitError, UsageError
from perfkit.runfolder import StudyFolder, cannot_write, out_of_space, read_json, write_json
from perfkit.telemetry import foreign
from perfkit.telemetry.gpu import GpuGauge
from perfkit.telemetry.start import Sampler
from perfkit.telemetry.windows import WindowMeans, average


class Executor:
    """Runs generations one after another in one study folder, with the sampler beside them.

    Use it as a context manager: it ends the sampler.

    Args:
        timeout_s: how long one process may hold the baton.
        emit: gets every event.
    """

    def __init__(
        self, study: StudyFolder, *, timeout_s: float, emit: Callable[[Event], None]
    ) -> None:
        self.study = study
        self._timeout_s = timeout_s
        self._emit = emit
        self._sampler: Sampler | None = None
        self._lock = FileLock(study.path / "lock")
        self._gauge = foreign.Gauge()
        self.unfinished: GenerationResult | None = None
        """What an interrupted generation left that counts; it is not stored, and is run again later."""
        self._gpu_gauge = GpuGauge()

    def __enter__(self) -> Executor:
        """Take the study for this process.

        Raises:
            UsageError: another one is running it.
            PerfkitError: the study's folder cannot be written to.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                f"{self.study.path} is being run by another perfkit", hint="wait for it to end"
            ) from error
        except OSError as error:
            raise cannot_write(self.study.path / "lock", error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        self._lock.release()

    def run(self, plan: GenerationPlan) -> GenerationResult:
        """Run a generation and store its result; only finished ones are stored.

        Raises:
            PerfkitError: something cannot be written, or no process be started. What was measured is kept,
                also of this generation if its blocks were timed and its result could be stored.
        """
        try:
            return self._run(plan)
        except UsageError:
            raise
        except PerfkitError as error:
            first = (
                "free some space" if out_of_space(error) or _says_so(error.message) else error.hint
            )
            then = f"go on with --resume {self.study.path}: what was measured is kept"
            hint = then if first is None else f"{first}, then {then}"
            raise PerfkitError(error.message, hint=hint) from error

    def _run(self, plan: GenerationPlan) -> GenerationResult:
        generation = Generation(
            self.study,
            plan,
            timeout_s=self._timeout_s,
            gauge=self._gauge,
            gpu_gauge=self._gpu_gauge,
            emit=self._emit,
            on_ready=self._start_sampler,
        )
        try:
            result = generation.run()
        finally:
            self.unfinished = generation.unfinished
        if any(_says_so(p.message or "") for p in result.processes):
            # not the trainings' fault: a later command that finds space runs it again
            return result
        write_json(self.study.generation(plan.number), to_json(result))
        self._emit(GenerationDone(plan.number, result.cost_s))
        if generation.problem is not None:
            raise generation.problem
        return result

    def finished(self) -> list[GenerationResult]:
        """Read the generations that an earlier command finished in this folder, in order."""
        found = []
        for path in sorted((self.study.path / "generations").glob("*.json")):
            with contextlib.suppress(DamagedFile):
                found.append(from_json(GenerationResult, read_json(path)))
        return sorted(found, key=lambda result: result.number)

    def _start_sampler(self, environment: dict[str, Any]) -> None:
        if self._sampler is None:
            uuid = environment.get("device_uuid")
            if uuid:
                self._gpu_gauge.watch(uuid)
            self._sampler = Sampler(self.study.telemetry, [uuid] if uuid else [])
            self._sampler.start()
            if self._sampler.pid is not None:
                self._gauge.add(self._sampler.pid)

    def averages(self, windows: Sequence[tuple[int, int]]) -> WindowMeans:
        """Average the telemetry of this study over stretches of `perf_counter_ns`."""
        # a resumed study has a file per command, and blocks in each
        paths = sorted(self.study.telemetry.glob("samples*.jsonl"))
        return average([path for path in paths if _is_whole(path)], windows)

    def drop_unfinished(self) -> None:
        """Remove what generations left behind that did not finish, so that they can be run again.

        Raises:
            PerfkitError: it cannot be removed.
        """
        numbers = {result.number for result in self.finished()}
        for path in (self.study.path / "processes").glob("*-*"):
            number = path.name.partition("-")[0]
            if number.isdecimal() and int(number) not in numbers:
                try:
                    shutil.rmtree(path)
                except OSError as error:
                    raise cannot_write(path, error, verb="remove") from error


def _is_whole(samples: Path) -> bool:
    try:
        average([samples], [])
    except DamagedFile:
        return False
    return True


def _says_so(message: str) -> bool:
    return NO_SPACE in message
