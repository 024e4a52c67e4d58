"""From what was asked to a study on disk that can run, and back to it later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_settings import declared

from perfkit.config import RunConfig
from perfkit.engine.questions import Data
from perfkit.errors import UsageError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import read_json, write_json
from perfkit.study import search as searching
from perfkit.study import start
from perfkit.study.bench import begin as bench
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.bench.request import BenchRequest
from perfkit.study.request import TrainingSettings
from perfkit.study.start import ENVIRONMENT_KEYS, Prepared
from perfkit.telemetry.start import INTERVAL_S
from perfkit.telemetry.windows import LOOKS_BACK_NS

ASKED = BenchRequest(command="perfkit bench", archs=("convnext",), amp=True)
ENVIRONMENT = {**dict.fromkeys(ENVIRONMENT_KEYS, "as then"), "cores_usable": 2}
Begin = Callable[..., Prepared]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begin a study in a folder of its own; the machine and the data are only said to be there."""
    monkeypatch.chdir(tmp_path)
    answer: dict[str, Any] = {"device": "cpu", "environment": ENVIRONMENT, "settings": declared()}
    monkeypatch.setattr(start, "survey", lambda device, archs=(), child=None: answer)
    lengths: dict[str, int] = {}
    monkeypatch.setattr(
        start,
        "prepare",
        lambda config, emit, timeout_s, child: Data(
            path="/data", num_samples=lengths.get(config.arch)
        ),
    )

    def carry_out(length: int | None = None, **changes: Any) -> Prepared:
        if length is not None:
            lengths["convnext"] = length
        return bench.begin(replace(ASKED, **changes), lambda event: None)

    return carry_out


def resume(name: str, *, budget_s: float | None = None) -> Prepared:
    """Go on with a study, with nothing but a time budget asked for."""
    return bench.reopen(BenchRequest(command="perfkit bench", budget_s=budget_s), name)


def test_a_study_is_laid_out_on_disk(begin: Begin, tmp_path: Path) -> None:
    """Rows, folder and frame: everything that is needed to run it and to go on with it."""
    prepared = begin(generations=3, steps=7, seed=5, sequential=True, full_epoch=True)
    plan = prepared.plan
    assert isinstance(plan, BenchPlan) and plan.total == 3
    assert [row.key for row in plan.rows] == ["convnext/fp32", "convnext/amp"]
    assert (plan.generations, plan.steps, plan.seed) == (3, 7, 5)
    assert plan.full_epoch and not plan.side_by_side
    assert all(row.config.seed == 5 for row in plan.rows)
    assert prepared.folder.path.resolve().is_relative_to(tmp_path / ".perfkit")
    assert prepared.frame.environment == ENVIRONMENT
    assert "2 cores" in prepared.frame.sizes and "/data" in prepared.frame.sizes


def test_what_was_begun_can_be_gone_on_with(begin: Begin) -> None:
    """Read back from its folder, by name or as the latest, the study is the one that was begun."""
    begun = begin()
    for name in ("latest", str(begun.folder.path), str(begun.folder.path / "study.json")):
        resumed = resume(name)
        assert (resumed.plan, resumed.frame) == (begun.plan, begun.frame)
        assert resumed.folder.path.resolve() == begun.folder.path.resolve()


def test_a_new_budget_takes_the_place_of_the_old(begin: Begin) -> None:
    """More time can be given to a study that had too little; nothing else of it changes."""
    begun = begin()
    resumed = resume("latest", budget_s=600.0)
    assert resumed.frame == replace(begun.frame, budget_s=600.0)


@pytest.mark.parametrize("key", ENVIRONMENT_KEYS)
def test_another_environment_is_refused(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Whatever of the machine or the software has changed is named, with what it was and is."""
    begin()
    now = {"device": "cpu", "environment": {**ENVIRONMENT, key: "as now"}}
    monkeypatch.setattr(start, "survey", lambda device, archs=(), child=None: now)
    with pytest.raises(UsageError, match=f"{key}: .* then, as now now"):
        resume("latest")


def test_what_is_no_study_cannot_be_resumed(begin: Begin, tmp_path: Path) -> None:
    """No folder, an empty one, and a damaged file are usage errors that name the place."""
    with pytest.raises(UsageError, match="no study"):
        resume("latest")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty holds no study"):
        resume("empty")
    path = begin().folder.path / "study.json"
    write_json(path, {**read_json(path), "plan": {"rows": "none"}})
    with pytest.raises(UsageError, match=r"study\.json: plan\.rows should be a list"):
        resume("latest")


def test_a_study_of_an_earlier_version_is_gone_on_with(begin: Begin) -> None:
    """It says neither what kind it is of nor anything that came later: it is a bench."""
    begun = begin()
    path = begun.folder.path / "study.json"
    stored = read_json(path)
    del stored["kind"]
    write_json(path, stored)
    resumed = resume("latest")
    assert (resumed.plan, resumed.frame) == (begun.plan, begun.frame)
    assert resumed.go_on == f"perfkit bench --resume {resumed.folder.path}"


def test_a_study_of_another_command_is_left_to_it(begin: Begin) -> None:
    """What cannot go on with it says which command can."""
    path = begin().folder.path / "study.json"
    write_json(path, {**read_json(path), "kind": "diagnose"})
    with pytest.raises(UsageError, match="a study of perfkit diagnose, not of") as caught:
        resume("latest")
    assert caught.value.hint == f"go on with: perfkit diagnose --resume {path.parent}"


@pytest.mark.parametrize("stored", [[], {}, {"plan": 1}, {"kind": 7, "plan": {"rows": []}}])
def test_what_is_stored_wrongly_is_told(begin: Begin, stored: Any) -> None:
    """Whatever is in the file, it is a usage error that names it."""
    path = begin().folder.path / "study.json"
    write_json(path, stored)
    with pytest.raises(UsageError, match=r"study\.json: "):
        resume("latest")


@pytest.mark.parametrize(
    ("changes", "budget_s"),
    [
        ({}, 120),
        ({"amp": False}, 120),
        ({"variants": ("bf16", "tf32")}, 240),
        ({"budget_s": 30.0, "variants": ("bf16",)}, 30),
    ],
)
def test_the_budget_grows_with_the_rows(
    begin: Begin, changes: dict[str, Any], budget_s: float
) -> None:
    """Two minutes for up to two rows, a minute for each from there on, or what was asked for."""
    assert begin(**changes).frame.budget_s == budget_s


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Batches up to 50 fit; returns what was tried, and whether in a rehearsal. A try takes 5 s."""
    tried: list[tuple[int, bool]] = []

    def fits(folder: Path, config: RunConfig, *, timeout_s: float, rehearse: bool) -> bool:
        tried.append((config.batch_size, rehearse))
        return config.batch_size <= 50

    monkeypatch.setattr(searching, "fits", fits)
    monkeypatch.setattr(searching, "monotonic", lambda: 5.0 * len(tried))
    return tried


def test_the_search_for_the_largest_batch_is_told_and_not_paid(
    begin: Begin, search: list[tuple[int, bool]]
) -> None:
    """Each try is an event and a line in the study; what all took is kept apart from the budget."""
    prepared = begin(settings=TrainingSettings(largest_batch=True))
    assert prepared.search_s == 5.0 * len(search)
    lines = JsonLines(prepared.folder.path / "trials" / "trials.jsonl").read()
    assert [(line["batch_size"], line["rehearsal"], line["fits"]) for line in lines] == [
        (size, rehearsal, size <= 50) for size, rehearsal in search
    ]
    assert begin().search_s == 0.0


@pytest.mark.parametrize(
    ("changes", "side_by_side"),
    [
        ({}, False),
        ({"amp": False}, True),
        ({"settings": TrainingSettings(largest_batch=True, num_samples=40)}, True),
    ],
    ids=["memory is filled", "one row", "all samples fit"],
)
def test_rows_that_fill_the_memory_run_one_after_another(
    begin: Begin, search: list[tuple[int, bool]], changes: dict[str, Any], side_by_side: bool
) -> None:
    """Each process takes nearly all of it: two side by side would not fit."""
    plan = begin(**{"settings": TrainingSettings(largest_batch=True), **changes}).plan
    assert isinstance(plan, BenchPlan)
    assert plan.side_by_side is side_by_side


def test_blocks_on_a_gpu_outlast_what_its_utilisation_looks_back(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a block of a second nothing would be left; with two samples at least it has a value."""
    plan = begin().plan
    assert isinstance(plan, BenchPlan) and plan.block_s == 1.0
    monkeypatch.setattr(
        start,
        "survey",
        lambda device, archs, child: {
            "device": "cuda:0",
            "environment": ENVIRONMENT,
            "settings": declared(),
        },
    )
    plan = begin().plan
    assert isinstance(plan, BenchPlan)
    assert plan.block_s >= LOOKS_BACK_NS["gpu_util_share"] * 1e-9 + 2 * INTERVAL_S


def test_an_epoch_is_as_long_as_the_dataset(begin: Begin) -> None:
    """Where a workload brings its own data, an epoch is all of it."""
    plan = begin(length=1000).plan
    assert isinstance(plan, BenchPlan)
    assert {row.config.num_samples for row in plan.rows} == {1000}


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": TrainingSettings(batch_size=4096)},
        {"variants": ("batch_size=4096",)},
        {"sweeps": ("batch_size=32,4096",)},
    ],
)
def test_a_batch_of_more_than_an_epoch_is_refused(
    begin: Begin, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """It would have to be made smaller in silence, in every row or in one; no study is left behind."""
    with pytest.raises(UsageError, match="4096 is more than the 2048 samples") as caught:
        begin(**changes)
    assert caught.value.hint is not None
    assert not (tmp_path / ".perfkit").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archs": ("convnet",)}, "unknown workload 'convnet'"),
        ({"variants": ("bf61",)}, "unknown variant 'bf61'"),
        ({"preset": "tale"}, "unknown preset"),
        ({"settings": TrainingSettings(num_workers=-1)}, "--num-workers is -1"),
        ({"settings": TrainingSettings(num_threads=0)}, "--threads is 0"),
        ({"settings": TrainingSettings(memory_limit_bytes=0)}, "--memory-limit is 0"),
    ],
)
def test_nothing_is_made_for_what_cannot_be_had(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    """A name or a value that does not exist is told before any data is made."""

    def made(*_: Any, **__: Any) -> Data:
        raise AssertionError("data was made")

    monkeypatch.setattr(start, "prepare", made)
    with pytest.raises(UsageError, match=message):
        begin(**changes)
