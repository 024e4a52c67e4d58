"""Running one generation: start, warm up, blocks in palindromes, edges, examination, end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from perfkit.engine.baton import Baton
from perfkit.engine.collect import BlockWatch
from perfkit.engine.events import (
    Doing,
    Event,
    GenerationStarted,
    PartLost,
    ProcessFailed,
)
from perfkit.engine.member import PARTS, Member, end, leave, living
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.process import CAN_STOP, Failed, TrainingProcess
from perfkit.engine.results import GenerationResult
from perfkit.engine.turns import ALONE, Turns, block_steps, fitting
from perfkit.engine.watch import Watch, Watched
from perfkit.errors import PerfkitError
from perfkit.limits import usable_cores
from perfkit.runfolder import RunFolder, StudyFolder
from perfkit.telemetry import foreign
from perfkit.telemetry.gpu import GpuGauge


class Generation:
    """Runs one plan. Make a new one for each.

    Args:
        timeout_s: how long one process may hold the baton in all, and how long it may take to start.
        gauge: tells somebody else's load from ours round every block.
        gpu_gauge: the same of the GPU; None where there is none.
        emit: gets every event.
        on_ready: gets the environment of each process once it stands.
    """

    def __init__(
        self,
        study: StudyFolder,
        plan: GenerationPlan,
        *,
        timeout_s: float,
        gauge: foreign.Gauge,
        gpu_gauge: GpuGauge | None = None,
        emit: Callable[[Event], None],
        on_ready: Callable[[dict[str, Any]], None],
    ) -> None:
        self._study = study
        self._plan = plan
        self._timeout_s = timeout_s
        self._emit = emit
        self._on_ready = on_ready
        self._baton = Baton(study.baton)
        self._members: list[Member] = []
        self._palindromes_s = 0.0
        self._examine_s = 0.0
        self._watch = Watch(gauge, gpu_gauge or GpuGauge(), spare_s=plan.spare_s, emit=emit)
        self._turns = Turns(arms=plan.arms, palindromes=plan.palindromes, load_s=plan.load_s)
        self.unfinished: GenerationResult | None = None
        """What was timed until Ctrl-C, where the plan says that it counts; None before any block was."""
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
            return self._result(side_by_side, time.monotonic() - begin)
        except KeyboardInterrupt:
            end(self._members)
            if plan.partial and any(member.watches for member in self._members):
                for member in living(self._members):
                    member.interrupt(self._later_commands())
                with contextlib.suppress(PerfkitError, OSError):
                    self.unfinished = self._result(side_by_side, time.monotonic() - begin)
            raise
        finally:
            end(self._members)

    def _result(self, side_by_side: bool, cost_s: float) -> GenerationResult:
        plan = self._plan
        return GenerationResult(
            number=plan.number,
            group=plan.group,
            palindromes=self._turns.palindromes,
            dropped=self._turns.dropped,
            side_by_side=side_by_side,
            processes=tuple(
                member.result(self._study)
                for member in sorted(self._members, key=lambda member: plan.rows.index(member.row))
            ),
            cost_s=cost_s,
            palindrome_s=self._palindromes_s / self._turns.palindromes,
            examine_s=self._examine_s,
        )

    def _run_together(self, rows: tuple[RowPlan, ...]) -> None:
        members = [self._member(row) for row in rows]
        for member in members:
            with self._survives(member):
                reply = member.process.wait_for("ready", self._timeout_s, what="start")
                self._on_ready(reply["environment"])
                member.process.stop()
        for member in living(members):
            reply = self._turn(member, "warm-up", "warm_up", seconds=self._plan.warm_up_s)
            member.step_s = reply.get("step_s", 0.0)
            member.warm_up = reply
        begin = time.monotonic()
        self._choose_turns(members)
        self._blocks(members)
        self._palindromes_s += time.monotonic() - begin
        measured = living(members)
        for member in measured:
            member.measured = True
        try:
            self._later(measured)
        except PerfkitError as error:
            self.problem = error
            for member in measured:
                for do in self._later_commands():
                    self._lose(member, do, Failed("error", error.message))
        for member in measured:
            full = member.without_space()
            if full is not None and self.problem is None:
                self.problem = PerfkitError(f"{member.row.key}: {full}")
        leave(living(members))
        end(members)

    def _later_commands(self) -> list[str]:
        asked = {
            "load": self._turns.load_s > 0,
            "edges": self._plan.edges,
            "epoch": self._plan.full_epoch,
            "profile": self._plan.profile,
            "examine": self._plan.examine is not None,
        }
        return [do for do, wanted in asked.items() if wanted]

    def _later(self, measured: list[Member]) -> None:
        """Ask for what follows the blocks; a process that fails in it loses this and what comes after."""
        if self._turns.load_s:
            for member in measured:
                self._turn(member, "the loader alone", "load", seconds=self._turns.load_s)
        if self._plan.edges:
            for member in measured:
                self._watched(member, partial(self._edges, member))
        if self._plan.full_epoch:
            for member in measured:
                self._turn(member, "a real epoch", "epoch")
        if self._plan.profile:
            stacks = self._plan.stacks
            for member in measured:
                self._turn(
                    member, "a profiled burst", "profile", step_s=member.step_s, stacks=stacks
                )
        # last: it leaves the training with other weights
        self._examine(measured)

    def _edges(self, member: Member) -> dict[str, Any]:
        return self._turn(member, "edges of an epoch", "edges", repeat_s=self._turns.repeat_s)

    def _member(self, row: RowPlan) -> Member:
        path = self._study.process(self._plan.number, self._plan.rows.index(row))
        folder = RunFolder.create(path, row.config)
        member = Member(row, TrainingProcess(folder, row.key))
        self._members.append(member)
        return member

    def _choose_turns(self, members: list[Member]) -> None:
        """Settle what there is time for, by the slowest of the processes that live."""
        cores = usable_cores()
        found = [
            fitting(self._plan, member.warm_up, member.row.config, cores)
            for member in living(members)
        ]
        if found:
            self._turns = max(found, key=lambda turns: len(turns.dropped))

    def _blocks(self, members: list[Member]) -> None:
        order = [(member, arm) for member in members for arm in self._turns.arms]
        turns = (order + order[::-1]) * self._turns.palindromes
        for done, (member, arm) in enumerate(turns):
            if member.failure is None:
                self._emit(Doing(self._plan.number, member.row.key, "block", done + 1, len(turns)))
                self._block(member, arm, done // (2 * len(order)))

    def _block(self, member: Member, arm: str, palindrome: int) -> None:
        # beside other arms blocks are equal in time, and each arm knows what its steps take
        alone = self._turns.arms == ALONE
        size = (
            {"steps": block_steps(self._plan, member.step_s, member.row.config)}
            if alone
            else {"seconds": self._plan.block_s}
        )

        def once() -> dict[str, Any]:
            member.blocks_run += 1
            number = member.blocks_run
            what = f"block {number}"
            return self._turn(member, what, "block", block=number, arm=arm, **size)

        reply, seen = self._watched(member, once)
        if reply:
            watch = BlockWatch(
                number=reply["block"],
                palindrome=palindrome,
                disturbed=seen.disturbed,
                throttled=seen.throttled,
                foreign_cpu_s=seen.foreign_cpu_s,
            )
            member.watches.append(watch)

    def _watched(
        self, member: Member, once: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], Watched]:
        ours = [one.process.pid for one in self._members]
        return self._watch.timed(member.row.key, member.process.pid, ours, once)

    def _examine(self, members: list[Member]) -> None:
        if self._plan.examine is None:
            return
        begin = time.monotonic()
        for member in members:
            losses = self._plan.examine.get(member.row.key)
            self._turn(
                member,
                "losses and ceilings",
                "examine",
                seed=None if losses is None else losses.seed,
                perturbations=[] if losses is None else list(losses.perturbations),
            )
        self._examine_s += time.monotonic() - begin

    def _turn(self, member: Member, what: str, do: str, **arguments: Any) -> dict[str, Any]:
        """Give the baton to a process for one command. A failure is told, and the answer is empty."""
        if member.process.failure is not None:
            self._lose(member, do, member.process.failure)
            return {}
        if do != "block":
            self._emit(Doing(self._plan.number, member.row.key, what, 0, 0))
        left_s = self._timeout_s - self._baton.held_s(member.process)
        with self._survives(member, do), self._baton.held_by(member.process, what):
            reply = member.process.ask(max(left_s, 0.0), do, **arguments)
            member.answered.add(do)
            return reply
        return {}

    @contextlib.contextmanager
    def _survives(self, member: Member, do: str = "start") -> Iterator[None]:
        try:
            yield
        except Failed as failure:
            if member.measured:
                self._lose(member, do, failure)
                return
            member.failure = failure
            self._emit(ProcessFailed(member.row.key, failure.status, failure.message))

    def _lose(self, member: Member, do: str, failure: Failed) -> None:
        if member.lose(do, failure):
            self._emit(PartLost(member.row.key, PARTS[do], failure.message))
