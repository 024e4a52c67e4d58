"""Running one generation: start, warm up, blocks in palindromes, edges, examination, end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from perfkit.engine.baton import Baton
from perfkit.engine.collect import BlockWatch, collect, relative
from perfkit.engine.events import (
    Doing,
    Event,
    GenerationStarted,
    PartLost,
    ProcessFailed,
    TurnRepeated,
)
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.process import CAN_STOP, Failed, TrainingProcess
from perfkit.engine.results import GenerationResult
from perfkit.engine.seat import PARTS, Seat
from perfkit.engine.turns import ALONE, Turns, fitting
from perfkit.errors import PerfkitError
from perfkit.runfolder import RunFolder, StudyFolder
from perfkit.stats import LEAST_STEPS
from perfkit.telemetry import host

MOST_REPEATS = 2
"""How often a disturbed block is run again before it counts as it is, flagged."""
LONGEST_BLOCK = 3.0
"""A block is stretched to reach past the ready queue, but to no more than this many times its length."""
QUIT_S = 5.0
"""How long the processes may take to put on disk what they hold; then they are ended as they are."""


class Generation:
    """Runs one plan. Make a new one for each.

    Args:
        timeout_s: how long one process may hold the baton in all, and how long it may take to start.
        gauge: tells somebody else's load from ours round every block.
        emit: gets every event.
        on_ready: gets the environment of each process once it stands.
    """

    def __init__(
        self,
        study: StudyFolder,
        plan: GenerationPlan,
        *,
        timeout_s: float,
        gauge: host.Gauge,
        emit: Callable[[Event], None],
        on_ready: Callable[[dict[str, Any]], None],
    ) -> None:
        self._study = study
        self._plan = plan
        self._timeout_s = timeout_s
        self._gauge = gauge
        self._emit = emit
        self._on_ready = on_ready
        self._baton = Baton(study.baton)
        self._seats: list[Seat] = []
        self._palindromes_s = 0.0
        self._examine_s = 0.0
        self._spare_s = plan.spare_s
        self._turns = Turns(arms=plan.arms, palindromes=plan.palindromes, load_s=plan.load_s)
        self.problem: PerfkitError | None = None
        """What could not be written once the blocks were timed. Its result counts; nothing should follow."""

    def run(self) -> GenerationResult:
        """Run it to its end. A row that fails is told in its result; the others go on.

        Raises:
            PerfkitError: no process can be started, or something cannot be written before blocks are timed.
            KeyboardInterrupt: passed on, with every process ended.
        """
        begin = time.monotonic()
        plan = self._plan
        rows = tuple(reversed(plan.rows)) if plan.reverse else plan.rows
        self._emit(GenerationStarted(plan.number, tuple(row.key for row in rows)))
        side_by_side = plan.side_by_side and CAN_STOP
        try:
            if side_by_side:
                self._run_together(rows)
            else:
                for row in rows:
                    self._run_together((row,))
            results = [
                collect(
                    seat.process.folder,
                    seat.row.key,
                    seat.watches,
                    seat.failure,
                    relative(seat.process.folder.path, self._study.path),
                    seat.lost,
                )
                for seat in sorted(self._seats, key=lambda seat: plan.rows.index(seat.row))
            ]
        finally:
            self._end(self._seats)
        return GenerationResult(
            number=plan.number,
            group=plan.group,
            palindromes=self._turns.palindromes,
            dropped=self._turns.dropped,
            side_by_side=side_by_side,
            processes=tuple(results),
            cost_s=time.monotonic() - begin,
            palindrome_s=self._palindromes_s / self._turns.palindromes,
            examine_s=self._examine_s,
        )

    def _run_together(self, rows: tuple[RowPlan, ...]) -> None:
        seats = [self._seat(row) for row in rows]
        for seat in seats:
            with self._survives(seat):
                reply = seat.process.wait_for("ready", self._timeout_s, what="start")
                self._on_ready(reply["environment"])
                seat.process.stop()
        for seat in self._living(seats):
            reply = self._turn(seat, "warm-up", "warm_up", seconds=self._plan.warm_up_s)
            seat.step_s = reply.get("step_s", 0.0)
            seat.warm_up = reply
        begin = time.monotonic()
        self._choose_turns(seats)
        self._blocks(seats)
        self._palindromes_s += time.monotonic() - begin
        measured = self._living(seats)
        for seat in measured:
            seat.measured = True
        try:
            self._later(measured)
        except PerfkitError as error:
            self.problem = error
            for seat in measured:
                for do in self._later_commands():
                    self._lose(seat, do, Failed("error", error.message))
        for seat in measured:
            full = seat.without_space()
            if full is not None and self.problem is None:
                self.problem = PerfkitError(f"{seat.row.key}: {full}")
        self._quit(self._living(seats))
        self._end(seats)

    def _later_commands(self) -> list[str]:
        asked = {
            "load": self._turns.load_s > 0,
            "edges": self._plan.edges,
            "epoch": self._plan.full_epoch,
            "profile": self._plan.profile,
            "examine": self._plan.examine is not None,
        }
        return [do for do, wanted in asked.items() if wanted]

    def _later(self, measured: list[Seat]) -> None:
        """Ask for what follows the blocks; a process that fails in it loses this and what comes after."""
        if self._turns.load_s:
            for seat in measured:
                self._turn(seat, "the loader alone", "load", seconds=self._turns.load_s)
        if self._plan.edges:
            for seat in measured:
                self._undisturbed(seat, partial(self._turn, seat, "edges of an epoch", "edges"))
        if self._plan.full_epoch:
            for seat in measured:
                self._turn(seat, "a real epoch", "epoch")
        if self._plan.profile:
            stacks = self._plan.stacks
            for seat in measured:
                self._turn(seat, "a profiled burst", "profile", step_s=seat.step_s, stacks=stacks)
        # last: it leaves the training with other weights
        self._examine(measured)

    def _seat(self, row: RowPlan) -> Seat:
        path = self._study.process(self._plan.number, self._plan.rows.index(row))
        folder = RunFolder.create(path, row.config)
        seat = Seat(row, TrainingProcess(folder, row.key))
        self._seats.append(seat)
        return seat

    def _choose_turns(self, seats: list[Seat]) -> None:
        """Settle what there is time for, by the slowest of the processes that live."""
        cores = self._gauge.snapshot().cores
        found = [
            fitting(self._plan, seat.warm_up, seat.row.config, cores)
            for seat in self._living(seats)
        ]
        if found:
            self._turns = max(found, key=lambda turns: len(turns.dropped))

    def _blocks(self, seats: list[Seat]) -> None:
        order = [(seat, arm) for seat in seats for arm in self._turns.arms]
        turns = (order + order[::-1]) * self._turns.palindromes
        for done, (seat, arm) in enumerate(turns):
            if seat.failure is None:
                self._emit(Doing(self._plan.number, seat.row.key, "block", done + 1, len(turns)))
                self._block(seat, arm, done // (2 * len(order)))

    def _block(self, seat: Seat, arm: str, palindrome: int) -> None:
        # beside other arms blocks are equal in time, and each arm knows what its steps take
        alone = self._turns.arms == ALONE
        size = {"steps": self._steps(seat)} if alone else {"seconds": self._plan.block_s}

        def once() -> dict[str, Any]:
            seat.blocks_run += 1
            number = seat.blocks_run
            what = f"block {number}"
            return self._turn(seat, what, "block", block=number, arm=arm, **size)

        reply, foreign_s, disturbed = self._undisturbed(seat, once)
        if reply:
            watch = BlockWatch(
                number=reply["block"],
                palindrome=palindrome,
                disturbed=disturbed,
                foreign_cpu_s=foreign_s,
            )
            seat.watches.append(watch)

    def _undisturbed(
        self, seat: Seat, once: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], float | None, bool]:
        """Do something timed, again while somebody else's load disturbs it and there is spare time.

        Returns:
            The last answer, the foreign CPU seconds beside it, and whether they disturbed it.
        """
        for repeat in range(MOST_REPEATS + 1):
            before = self._gauge.snapshot(groups=[seat.process.pid])
            reply = once()
            after = self._gauge.snapshot(groups=[seat.process.pid])
            if not reply:
                return reply, None, False
            foreign_s, disturbed = _judge(before, after)
            wall_s = (after.t_ns - before.t_ns) * 1e-9
            if not disturbed or repeat == MOST_REPEATS or self._spare_s < wall_s:
                break
            self._spare_s -= wall_s
            self._emit(TurnRepeated(seat.row.key, foreign_s or 0.0))
        return reply, foreign_s, disturbed

    def _steps(self, seat: Seat) -> int:
        """Steps of a block: as long as planned, and past what the ready queue can hide."""
        if self._plan.steps is not None:
            return self._plan.steps
        step_s = max(seat.step_s, 1e-6)
        wanted = max(LEAST_STEPS, math.ceil(self._plan.block_s / step_s))
        longest = max(LEAST_STEPS, int(LONGEST_BLOCK * self._plan.block_s / step_s))
        return min(max(wanted, 2 * seat.row.config.queue_capacity), longest)

    def _examine(self, seats: list[Seat]) -> None:
        if self._plan.examine is None:
            return
        begin = time.monotonic()
        for seat in seats:
            losses = self._plan.examine.get(seat.row.key)
            self._turn(
                seat,
                "losses and ceilings",
                "examine",
                seed=None if losses is None else losses.seed,
                perturbations=[] if losses is None else list(losses.perturbations),
            )
        self._examine_s += time.monotonic() - begin

    def _quit(self, seats: list[Seat]) -> None:
        """Have all of them put on disk what they hold. One that cannot has lost nothing that was answered."""
        # not turns: processes on their way out must not be paused
        for seat in seats:
            seat.process.go_on()
            seat.process.tell("quit")
        deadline = time.monotonic() + QUIT_S
        for seat in seats:
            try:
                seat.process.wait_for("done", max(0.0, deadline - time.monotonic()), what="quit")
            except Failed as failure:
                with contextlib.suppress(OSError), seat.process.folder.log.open("a") as log:
                    log.write(f"perfkit: it did not quit: {failure.message}\n")

    @staticmethod
    def _end(seats: list[Seat]) -> None:
        # files are closed once it has answered: its own way out takes most of a second, and tells nothing
        for seat in seats:
            seat.process.kill()
        for seat in seats:
            seat.process.end()

    def _turn(self, seat: Seat, what: str, do: str, **arguments: Any) -> dict[str, Any]:
        """Give the baton to a process for one command. A failure is told, and the answer is empty."""
        if seat.process.failure is not None:
            self._lose(seat, do, seat.process.failure)
            return {}
        if do != "block":
            self._emit(Doing(self._plan.number, seat.row.key, what, 0, 0))
        left_s = self._timeout_s - self._baton.held_s(seat.process)
        with self._survives(seat, do), self._baton.held_by(seat.process, what):
            reply = seat.process.ask(max(left_s, 0.0), do, **arguments)
            seat.answered.add(do)
            return reply
        return {}

    @contextlib.contextmanager
    def _survives(self, seat: Seat, do: str = "start") -> Iterator[None]:
        try:
            yield
        except Failed as failure:
            if seat.measured:
                self._lose(seat, do, failure)
                return
            seat.failure = failure
            self._emit(ProcessFailed(seat.row.key, failure.status, failure.message))

    def _lose(self, seat: Seat, do: str, failure: Failed) -> None:
        if seat.lose(do, failure):
            self._emit(PartLost(seat.row.key, PARTS[do], failure.message))

    @staticmethod
    def _living(seats: list[Seat]) -> list[Seat]:
        return [seat for seat in seats if seat.process.failure is None]


def _judge(before: host.HostSnapshot, after: host.HostSnapshot) -> tuple[float | None, bool]:
    """Foreign CPU seconds of a block (None where they cannot be read), and whether they disturbed it."""
    foreign_s, own_s = host.foreign_cpu_s(before, after), host.own_cpu_s(before, after)
    if foreign_s is None or own_s is None:
        return None, False
    wall_s = (after.t_ns - before.t_ns) * 1e-9
    return foreign_s, host.disturbed(foreign_s, own_s, wall_s, after.cores)
