"""A script as the hooks see it: batches that are fetched, backwards, updates, and the records they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfkit.records import STEPS, StepRecord
from perfkit.training.attach.loaders import Loader, Pass
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.attach.watcher import queue_of


class Told:
    """Who is told, and keeps it."""

    def __init__(self) -> None:
        self.trained = 0
        self.over: list[tuple[int, bool, int]] = []

    def trains(self) -> None:
        self.trained += 1

    def updated(self, optimizer: Any) -> None:
        pass

    def pass_over(self, over: Pass, *, exhausted: bool) -> None:
        self.over.append((over.number, exhausted, over.fetched))

    def fetched(self, now_ns: int, steps: int = 1) -> None:
        pass


class Script:
    """A script as the hooks see it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told = Told()
        self.recorder = LateRecorder(path)
        self.steps = Steps(self.recorder, self.told)
        self.passes = 0

    def iterate(self, loader: Loader) -> Pass:
        number, self.passes = self.passes, self.passes + 1
        return Pass(number, loader, lambda: -1, lambda: -1)

    def fetch(self, *passes: Pass) -> None:
        for asking in passes:
            self.steps.asks(asking, *queue_of(asking))
            self.steps.got(asking)

    def stop(self, asking: Pass) -> None:
        self.steps.asks(asking, *queue_of(asking))
        self.steps.ended(asking)

    def backward(self) -> None:
        self.steps.backward_begins()
        self.steps.backward_ends()

    def update(self, optimizer: str = "adam") -> None:
        self.steps.update_begins(optimizer)
        self.steps.update_ends(optimizer)

    def train(self) -> None:
        self.backward()
        self.update()

    def records(self) -> list[StepRecord]:
        self.steps.end()
        self.recorder.close()
        records = list(STEPS.read(self.path))
        assert [record.index for record in records] == list(range(len(records)))
        return records

    def counts(self) -> list[tuple[int, int, int]]:
        return [(record.block, record.backwards, record.updates) for record in self.records()]


def loader(number: int) -> Loader:
    return Loader(number, None)
