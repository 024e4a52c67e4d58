"""The wait for a core: read seldom, and spread over the steps between two readings."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from perfkit.records import STEPS, UNKNOWN
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.probe.outfiles import WRITE_EVERY
from perfkit.training.probe.recorder import Recorder
from perfkit.training.probe.rundelay import READ_EVERY_NS, RunDelay, SharedDelay

SHORT_NS = READ_EVERY_NS // 100


class Kernel(RunDelay):
    """A count that grows by a known amount from reading to reading."""

    def __init__(self, counts: Iterable[int]) -> None:
        super().__init__()
        self._counts = iter(counts)
        self.readings = 0

    def read_ns(self) -> int:
        self.readings += 1
        return next(self._counts)


class Loop:
    """Steps of a known length under a recorder and a kernel that are told what happens."""

    def __init__(self, path: Path, kernel: RunDelay) -> None:
        self.path = path
        self.now_ns = 1_000
        self.recorder = LateRecorder(path)
        self.recorder._host_ns = lambda: self.now_ns
        self.recorder._delay = SharedDelay(kernel)
        self.recorder._files.put_off(0, self.now_ns)

    def steps(self, count: int, length_ns: int = SHORT_NS) -> None:
        for _ in range(count):
            self.recorder.before_next()
            self.recorder.after_next(1)
            self.now_ns += length_ns

    def delays_ns(self) -> list[float]:
        self.recorder.close()
        return [record.run_delay_s * 1e9 for record in STEPS.read(self.path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steps.bin"


def test_short_steps_share_what_lies_between_two_readings(path: Path) -> None:
    """One reading as the first step begins, one as the last one ends, and none between."""
    kernel = Kernel([500, 900])
    loop = Loop(path, kernel)
    loop.steps(4)
    loop.recorder.end_step()
    assert kernel.readings == 2
    assert loop.delays_ns() == pytest.approx([100.0] * 4)


def test_a_long_step_has_a_reading_of_its_own(path: Path) -> None:
    """Whoever takes longer than the readings lie apart is told by itself."""
    loop = Loop(path, Kernel([500, 700, 1_000]))
    loop.steps(2, READ_EVERY_NS)
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([200.0, 300.0])


def test_readings_lie_no_closer_than_that(path: Path) -> None:
    """Sixty steps in 60 % of the time from one reading to the next need none."""
    kernel = Kernel(range(100))
    loop = Loop(path, kernel)
    loop.steps(60)
    assert kernel.readings == 1
    loop.steps(1, READ_EVERY_NS)
    loop.steps(1)
    assert kernel.readings == 2


def test_the_shares_add_up_to_the_kernel_s_count(path: Path) -> None:
    """Steps of many lengths, written several times: nothing is lost, nothing counted twice."""
    counts = [n * n * 7 for n in range(1_000)]
    kernel = Kernel(counts)
    loop = Loop(path, kernel)
    for number in range(3 * WRITE_EVERY):
        loop.steps(1, SHORT_NS * (1 + number % 40))
    loop.recorder.end_step()
    told = counts[kernel.readings - 1]
    delays_ns = loop.delays_ns()
    assert len(delays_ns) == 3 * WRITE_EVERY
    assert kernel.readings > 3
    assert sum(delays_ns) == pytest.approx(told)


def test_steps_that_are_told_of_together_have_one_reading(path: Path) -> None:
    """However often they are told of: it adds up, and the next time there is another one."""
    kernel = Kernel([0, 900, 900 + 70])
    loop = Loop(path, kernel)
    recorder = loop.recorder
    loop.steps(1)
    for steps in (4, 3):
        with recorder.clock_of(lambda: loop.now_ns):
            for _ in range(2):
                first_ns, loop.now_ns = loop.now_ns, loop.now_ns + steps * SHORT_NS
                at_ns = [first_ns + n * SHORT_NS // 6 for n in range(6 * steps)]
                recorder.plain_steps([(1, 1)] * steps, [2] * steps, at_ns)
            recorder.flush()
    assert kernel.readings == 3
    delays_ns = loop.delays_ns()
    # the first reading came when the first step began; a step that runs has no share yet
    assert delays_ns == pytest.approx([900 / 4] * 4 + [0] * 4 + [70 / 3] * 3 + [0] * 3)


def test_a_block_begins_and_ends_with_a_reading(path: Path) -> None:
    """What the thread waited in one block, or between two, is not told of another."""
    loop = Loop(path, Kernel([0, 30, 10_000, 10_400]))
    for block in (1, 2):
        loop.recorder.block = block
        loop.steps(2)
        loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([15.0, 15.0, 200.0, 200.0])


def test_blocks_without_a_pause_are_told_apart_too(path: Path) -> None:
    """A new number alone makes a reading."""
    loop = Loop(path, Kernel([0, 30, 430]))
    for block in (1, 2):
        loop.recorder.block = block
        loop.steps(2)
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([15.0, 15.0, 200.0, 200.0])


def test_a_step_that_is_dropped_ends_the_stretch(path: Path) -> None:
    """The end of an epoch: what follows it until the next batch is asked for is no step's."""
    loop = Loop(path, Kernel([0, 60, 5_000, 5_100]))
    loop.steps(2)
    loop.recorder.before_next()
    loop.recorder.drop_step()
    loop.steps(1)
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([30.0, 30.0, 100.0])


def test_a_step_set_aside_has_its_share_when_it_is_released(path: Path) -> None:
    """The reading is taken as it is set aside; the one after it takes the rest."""
    loop = Loop(path, Kernel([0, 80, 100]))
    loop.steps(2)
    loop.recorder.hold()
    loop.steps(1)
    loop.recorder.release()
    loop.recorder.end_step()
    assert sorted(loop.delays_ns()) == pytest.approx([20.0, 40.0, 40.0])


def test_a_step_that_is_taken_in_again_has_both_shares(path: Path) -> None:
    """Set aside, found to be one with what followed, and ended: the sum of all readings."""
    loop = Loop(path, Kernel([0, 80, 100]))
    loop.steps(1)
    loop.recorder.hold()
    loop.steps(1)
    loop.recorder.fold()
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([100.0])


def test_a_step_that_is_opened_again_is_counted_once(path: Path) -> None:
    """It shares with the others when it ends for good."""
    loop = Loop(path, Kernel([0, 80]))
    loop.steps(2)
    loop.recorder.before_next()
    assert loop.recorder.reopen()
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([40.0, 40.0])


def test_what_is_written_early_has_its_share(path: Path) -> None:
    """`flush` while a step runs: it takes a part of that reading, and of the next."""
    loop = Loop(path, Kernel([0, 90, 100]))
    loop.steps(3)
    loop.recorder.flush()
    assert [r.run_delay_s * 1e9 for r in STEPS.read(path)] == pytest.approx([30.0, 30.0])
    loop.recorder.end_step()
    assert loop.delays_ns() == pytest.approx([30.0, 30.0, 40.0])


def test_a_reading_that_fails_leaves_its_steps_unknown(path: Path) -> None:
    """Missing, not zero, until two readings follow each other again."""
    loop = Loop(path, Kernel([0, UNKNOWN, UNKNOWN, 50, 70]))
    loop.steps(1)
    loop.recorder.end_step()
    loop.steps(1, READ_EVERY_NS)
    loop.steps(1)
    loop.recorder.end_step()
    first, second, third = loop.delays_ns()
    assert math.isnan(first) and math.isnan(second)
    assert third == pytest.approx(20.0)


def test_a_system_that_does_not_count_leaves_it_unknown(path: Path) -> None:
    """No schedstat: the wait for a core is missing, not zero."""

    class Silent(RunDelay):
        @staticmethod
        def _opened() -> int:
            raise FileNotFoundError

    recorder = Recorder(path, run_delay=Silent())
    recorder.before_next()
    recorder.after_next(1)
    recorder.end_step()
    recorder.close()
    (record,) = STEPS.read(path)
    assert math.isnan(record.run_delay_s)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="no schedstat here")
def test_the_kernel_s_count_only_grows() -> None:
    """Read from the real file: nanoseconds, never fewer than before."""
    delay = RunDelay()
    readings = [delay.read_ns() for _ in range(100)]
    assert readings == sorted(readings)
    assert readings[0] >= 0
    delay.close()
    assert delay.read_ns() == -1
