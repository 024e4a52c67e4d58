"""Real scripts, bare and attached: the same output, weights and exit code, and every step counted."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from attached_scripts import SCRIPTS, base, both, counted, processes, run
from forked_scripts import Run, forking

from perfkit.engine.attach import environment
from perfkit.records import COLLECTIVE
from perfkit.study.attached.answer import runs_of
from perfkit.study.attached.ranks import slowest
from perfkit.study.attached.read import read_process
from perfkit.training.probe.outfiles import WRITE_EVERY_NS


@pytest.fixture(scope="module")
def forked() -> Iterator[Run]:
    """What runs bare scripts at no cost for torch, which every attached one imports itself."""
    with forking(base()) as run:
        yield run


@pytest.mark.parametrize(
    ("script", "steps", "backwards", "updates"),
    [
        ("plain.py", 21, 21, 21),
        ("accumulation.py", 32, 32, 8),
        ("gan.py", 12, 36, 24),
        ("endless.py", 10, 10, 10),
        ("breaks.py", 15, 15, 15),
        ("handwritten.py", 24, 24, 24),
        ("without_optimizer.py", 1 + 60 - 48, 60, 0),
        ("short.py", 290, 290, 290),
    ],
)
def test_a_script_is_the_same_and_its_steps_are_counted(
    tmp_path: Path, forked: Run, script: str, steps: int, backwards: int, updates: int
) -> None:
    """Loops of one loader, of two models, of batches cut by hand."""
    counted(tmp_path, forked, script, steps, backwards, updates)


def test_what_evaluation_fetches_is_told_apart(tmp_path: Path, forked: Run) -> None:
    """No step of training holds an evaluation, and each pass says how it ended."""
    one = counted(tmp_path, forked, "evaluation.py", 20, 20, 20)
    train, check = (event["loader"] for event in one.of("loader"))
    by_loader = {event["pass"]: event["loader"] for event in one.of("pass")}
    ends = {event["pass"]: event for event in one.of("pass_end")}
    trained = [record for record in one.records if by_loader[record.block] == train]
    assert [record.backwards for record in trained] == [0, *[1] * 20]
    evaluated = [record for record in one.records if by_loader[record.block] == check]
    assert len(evaluated) == 2 * 2 + 2 * 2
    assert all(record.backwards == record.updates == 0 for record in evaluated)
    spans = sorted(
        (record.start_ns, record.start_ns + record.step_s * 1e9) for record in one.records
    )
    assert all(ended <= begun + 1e3 for (_, ended), (begun, _) in pairwise(spans))
    assert sum(end["backwards"] for end in ends.values()) == 20
    assert [event["where"].partition(":")[0] for event in one.of("loader")] == ["evaluation.py"] * 2


def test_iterators_that_loaders_keep_are_passes_too(tmp_path: Path, forked: Run) -> None:
    """`DataLoader.__iter__` never runs: they are known when asked for a first batch, in each epoch."""
    one = counted(tmp_path, forked, "own_iterator.py", 15, 15, 15)
    assert [event["where"] for event in one.of("loader")] == [
        f"own_iterator.py:{line}" for line in (29, 34, 36)
    ]
    train = [event for event in one.of("pass") if event["loader"] == 0]
    assert len(train) == 3 and len(one.of("pass")) == len(one.of("pass_end")) == 7
    # of these the worker is started for the first one alone
    assert train[0]["iter_s"] > 0 and [event["iter_s"] for event in train[1:]] == [0.0, 0.0]
    assert len({tuple(event["workers"]) for event in train}) == 1
    assert len(list((one.path / "ranks" / "0" / "loader").glob("0-*.bin"))) == 2


def test_a_batch_of_two_loaders_is_one_step(tmp_path: Path, forked: Run) -> None:
    """What a companion fetches is no step of its own, from the first step on."""
    one = counted(tmp_path, forked, "zipped.py", 15, 15, 15)
    by_loader = {event["pass"]: event["loader"] for event in one.of("pass")}
    assert {by_loader[record.block] for record in one.records} == {0}
    # zip asks the first loader once more than the second can give
    assert len(one.records) == 16
    assert sum(end["backwards"] for end in one.of("pass_end") if end["companion"] is None) == 15


def test_a_loader_that_goes_on_alone_has_steps_of_its_own(tmp_path: Path, forked: Run) -> None:
    """`zip(itertools.cycle(labelled), unlabelled)`: of six steps two have batches of both."""
    one = counted(tmp_path, forked, "cycled.py", 18, 18, 18)
    recorded = read_process(one.path)
    assert recorded is not None
    (run,) = runs_of([recorded])
    assert (len(run.loop.steps), run.loop.epochs_seen, run.loop.steps_per_epoch) == (18, 3, 6)
    assert run.loop.main.where == "cycled.py:17"


def test_lbfgs_is_one_update_of_many_backwards(tmp_path: Path, forked: Run) -> None:
    """Backwards inside `step(closure)` are counted in the step, and their time is backward's."""
    runs = both(tmp_path, "lbfgs.py", bare=forked)
    one = runs.one
    calls = int(re.search(r"calls (\d+)", runs.bare.stdout)[1])  # type: ignore[index]
    assert (len(one.steps), one.backwards, one.updates) == (4, calls, 4)
    for record in one.steps:
        parts = record.forward_s + record.backward_s + record.optimizer_s + record.data_wait_s
        assert 0 < parts <= record.step_s


def test_a_stream_that_every_worker_gives_whole_is_told_of(tmp_path: Path, forked: Run) -> None:
    """Two workers give 30 samples each, and nothing asked which worker it was."""
    one = counted(tmp_path, forked, "iterable.py", 8, 8, 8)
    assert one.facts()["stream_per_worker"] == {"loader": 0, "num_workers": 2}
    assert {record.samples for record in one.records} == {-1}
    assert len(list((one.path / "ranks" / "0" / "loader").glob("*.bin"))) >= 2


@pytest.mark.parametrize(
    ("how", "code", "exception"),
    [("raise", 1, "ValueError: the loss is odd"), ("exit", 3, None), ("data", 1, None)],
)
def test_how_a_script_ends_is_its_own(
    tmp_path: Path, how: str, code: int, exception: str | None
) -> None:
    """Exit code and traceback are what they are without us, and the steps until then are kept."""
    runs = both(tmp_path, "ends.py", how)
    assert runs.bare.returncode == code
    assert runs.attached.stderr == runs.bare.stderr
    assert len(runs.one.steps) == 7
    if how == "data":
        assert runs.one.status["exception"].startswith("LookupError")
    else:
        assert runs.one.status == {"status": "ended", "exception": exception}


@pytest.mark.parametrize(("how", "code"), [("os_exit", 4), ("term", -15)])
def test_a_sudden_end_leaves_a_process_that_runs(tmp_path: Path, how: str, code: int) -> None:
    """Nothing of ours is asked when a process is gone: its status stays, its folder can be read."""
    runs = both(tmp_path, "ends.py", how)
    assert runs.bare.returncode == code
    assert runs.one.status["status"] == "running"


def test_an_interrupted_script_says_so(tmp_path: Path) -> None:
    """Ctrl-C ends it by the signal; what it trained is kept."""
    runs = both(tmp_path, "ends.py", "interrupt")
    assert runs.attached.stderr == runs.bare.stderr
    assert runs.one.status["exception"].startswith("KeyboardInterrupt")
    assert len(runs.one.steps) == 7


def test_a_module_sees_what_it_sees_without_us(tmp_path: Path) -> None:
    """`sys.path`, environment, random numbers and `__main__` are the same, for `-m` too."""
    runs = both(tmp_path, "-m", "package.train", "--lr", "1")
    assert runs.attached.stderr == runs.bare.stderr
    assert len(runs.one.steps) == 4


def test_a_script_without_a_guard_fails_as_it_does(tmp_path: Path) -> None:
    """A worker that runs the script again is no training, whatever becomes of it."""
    runs = both(tmp_path, "unguarded.py")
    assert "begins" in runs.bare.stdout
    assert runs.processes == []
    assert not list(tmp_path.glob("processes/*"))


def test_each_trainer_has_a_folder(tmp_path: Path) -> None:
    """Trainers that the script starts are found; their workers and the parent leave nothing."""
    # how they are started is not seen in their weights: both are compared to one bare run
    bare = run([sys.executable, "spawned.py", "fork"], base(), SCRIPTS)
    for method in ("fork", "spawn"):
        study = tmp_path / method
        runs = both(study, "spawned.py", method, bare=lambda *command: bare)
        assert [len(process.steps) for process in runs.processes] == [6, 6]
        assert [process.status["status"] for process in runs.processes] == ["ended", "ended"]
        assert len(list(study.glob("processes/*"))) == 2


def test_a_graph_stays_whole(tmp_path: Path, forked: Run) -> None:
    """`fullgraph=True` compiles; an optimizer in the graph is not seen, and that is said."""
    one = both(tmp_path, "compiled.py", bare=forked).one
    assert (len(one.steps), one.backwards, one.updates) == (4, 4, 0)
    assert one.facts()["compiled_optimizer"] == 0


def test_ranks_are_told_and_the_agent_is_not_there(tmp_path: Path) -> None:
    """Two ranks leave a folder each, torchrun none."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    runs = both(tmp_path, "distributed.py", python=torchrun)
    assert sorted(process.attached["rank"] for process in runs.processes) == [0, 1]
    assert {process.attached["world_size"] for process in runs.processes} == {2}
    assert [len(process.steps) for process in runs.processes] == [8, 8]
    assert len(list(tmp_path.glob("processes/*"))) == 2
    # what one rank waits for the other one, which sleeps
    recorded = [read_process(process.path) for process in runs.processes]
    in_order = runs_of([one for one in recorded if one is not None])
    for rank in in_order:
        assert [one["iteration"] for one in rank.recorded.told("reducer")] == [*range(1, 8)]
        assert [span.phase for span in rank.recorded.spans] == [COLLECTIVE] * 8
    first, late = (run.evidence.communication for run in in_order)
    assert first is not None and late is not None
    assert first.waited_s > late.waited_s
    assert slowest(in_order) is in_order[1]


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_a_python_that_looks_at_no_environment_runs_unattached(tmp_path: Path, flag: str) -> None:
    """Nothing of ours runs, and nothing fails."""
    runs = both(tmp_path, flag, "-c", "import sys; print(len(sys.meta_path), sys.argv)")
    assert runs.processes == []


@pytest.mark.parametrize(
    ("library", "backwards", "updates"),
    [("accelerate", 20, 20), ("lightning", 20, 20), ("transformers", 20, 10)],
)
def test_a_library_that_owns_the_loop_trains_the_same(
    tmp_path: Path, library: str, backwards: int, updates: int
) -> None:
    """It may read ahead, or run backward inside the update: every one is in a step."""
    pytest.importorskip(library)
    runs = both(tmp_path / "study", f"with_{library}.py", str(tmp_path))
    found = [line for line in runs.bare.stdout.splitlines() if line.startswith("weights")]
    assert len(found) == 1
    assert (runs.one.backwards, runs.one.updates) == (backwards, updates)


def test_a_script_is_ended_where_that_was_asked(tmp_path: Path) -> None:
    """After so many steps, by `SystemExit` from `next()`: exit code 0, and nothing after the loop runs."""
    env = environment(tmp_path, {**base(), "PERFKIT_STOP": "steps:9"})
    done = run([sys.executable, "plain.py"], env, SCRIPTS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "weights" not in done.stdout
    (one,) = processes(tmp_path)
    assert len(one.steps) == 9
    assert one.status == {"status": "ended", "exception": None}


@pytest.mark.parametrize("batches", ["by_hand", "loader"])
def test_a_kill_loses_half_a_second_at_most(tmp_path: Path, batches: str) -> None:
    """Every step that ended earlier than that before the last one is on the disk, noted or told at once."""
    env = environment(tmp_path, base())
    done = run([sys.executable, "killed.py", batches], env, SCRIPTS)
    assert done.returncode == -signal.SIGKILL
    ended = [int(line) for line in done.stdout.split()]
    (one,) = processes(tmp_path)
    kept = len(one.steps)
    assert 0 < kept <= len(ended)
    # it is written when a step ends, which the machine may put off
    longest_ns = max(after - before for before, after in pairwise(ended))
    assert all(end >= ended[-1] - WRITE_EVERY_NS - 2 * longest_ns for end in ended[kept:])
    assert one.status["status"] == "running"
