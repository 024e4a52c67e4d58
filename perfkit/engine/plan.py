"""What the engine is asked to run: a generation of processes and their blocks."""

from __future__ import annotations

from dataclasses import dataclass

from perfkit.config import RunConfig

MOST_PROCESSES = 4
"""Processes that live at the same time; more rows go in several groups with the reference in each."""


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """One row: what it is called and the settings of its process."""

    key: str
    arch: str
    variant: str
    config: RunConfig


@dataclass(frozen=True, kw_only=True)
class Examine:
    """Whose losses a process traces: from which weights, and with what errors planted in its arithmetic."""

    seed: int
    """Of the weights: the same for every row, so that one trace is held against the other."""
    perturbations: tuple[float, ...] = ()
    """Relative sizes of the errors (unit roundoffs); further traces, of an FP32 row, are made with each."""


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """One fresh process per row, living at the same time, and what they take turns at."""

    number: int
    """From 1; unique in a study."""
    group: int
    """Which group of rows; ratios are taken inside a group."""
    rows: tuple[RowPlan, ...]
    """The first one is the reference."""
    palindromes: int = 2
    """How often the order A B C C B A is gone through."""
    arms: tuple[str, ...] = ("real",)
    warm_up_s: float = 1.0
    block_s: float = 1.0
    """How long a block should take; turned into steps by what the warm-up measured."""
    most_s: float | None = None
    """Seconds that the blocks and the loader alone may take: arms that do not fit are dropped
    (`perfkit.engine.turns`). None: all that is planned is run."""
    load_s: float = 0.0
    """Seconds for which the loader is timed with nobody training; 0: it is not."""
    repeat_s: float | None = None
    """Seconds of `most_s` that are kept for evaluating a second time, which tells what the first sets up.
    None: it is done whatever it takes."""
    partial: bool = False
    """What is left of it when it is interrupted counts; else only a finished one does."""
    steps: int | None = None
    """Steps of a block, where they are pinned."""
    edges: bool = True
    profile: bool = False
    """Profile a few steps at the end, and time what launching their operators costs."""
    stacks: bool = False
    """Record Python's frames in that, so that an operator has a place in the code."""
    full_epoch: bool = False
    """Run a real epoch at the end, beside the forecast."""
    examine: dict[str, Examine] | None = None
    """By row key, the losses to trace, of every row; None when nothing is examined in this generation."""
    side_by_side: bool = True
    """False: the processes run one after another, and the whole counts as a generation."""
    reverse: bool = False
    """Run the rows last to first, which every second generation does: whatever favours an early or a
    late place in the order favours every row in turn."""
    spare_s: float = 0.0
    """Time this generation may spend on repeating disturbed blocks."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.rows) <= MOST_PROCESSES:
            raise ValueError(f"a generation has 1 to {MOST_PROCESSES} rows, not {len(self.rows)}")
        if self.palindromes < 1:
            raise ValueError("palindromes should be at least 1")
