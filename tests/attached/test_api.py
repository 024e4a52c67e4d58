"""`perfkit.watch` and `perfkit.phase` in real scripts: what is recorded, said, and not touched."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import perfkit
from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.records import STEPS
from perfkit.runfolder import RankFolder, StudyFolder

BEGIN = """
import os, sys, time, torch, perfkit
from torch.utils.data import DataLoader, Dataset, TensorDataset

torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = TensorDataset(torch.randn(40, 4), torch.randint(2, (40,)))

def step(batch):
    inputs, targets = batch
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()
"""
SLOW = """
class Slow(Dataset):
    def __len__(self):
        return 120
    def __getitem__(self, index):
        time.sleep(0.003)
        return torch.randn(4), index % 2

for epoch in range(2):
    for batch in perfkit.watch(DataLoader(Slow(), batch_size=4)):
        step(batch)
        with perfkit.phase("logging"):
            time.sleep(0.002)
print("trained", flush=True)
"""


def script(folder: Path, code: str, *command: str, **environ: str) -> Any:
    """Run a script in a folder of its own."""
    (folder / "train.py").write_text(BEGIN + textwrap.dedent(code))
    return subprocess.run(
        [*(command or (sys.executable,)), "train.py"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "110", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def study(folder: Path) -> StudyFolder:
    (path,) = (folder / ".perfkit").glob("*-run")
    return StudyFolder(path)


def recorded(folder: Path) -> tuple[Counter[int], list[dict[str, Any]]]:
    """Steps with a backward by their pass, and the events, of the only process."""
    (process,) = (study(folder).path / "processes").iterdir()
    rank = RankFolder(process / "ranks" / "0")
    steps = Counter(step.block for step in STEPS.read(rank.steps) if step.backwards > 0)
    return steps, list(rank.events.read())


def told(events: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [one for one in events if one["event"] == event]


def stored(folder: Path) -> Document:
    return documents.read(study(folder).document)


def test_watching_a_loader_is_enough_for_a_verdict(tmp_path: Path) -> None:
    """The study of `perfkit run`, told on stderr at the end; stdout and exit code are the script's own."""
    done = script(tmp_path, SLOW + "raise SystemExit(3)")
    assert (done.returncode, done.stdout) == (3, "trained\n")
    assert all(line.startswith("perfkit:") for line in done.stderr.splitlines()), done.stderr
    document = stored(tmp_path)
    assert (document.kind, document.command, document.complete) == ("run", "python train.py", True)
    assert (document.method["steps"], document.method["updates"]) == (60, 60)
    (loader,) = document.method["loaders"]
    assert (loader["where"], loader["own"], loader["passes"]) == ("train.py:25", False, 2)
    (row,) = document.rows
    assert row.exposed_wait_s is not None and row.exposed_wait_s >= 0.012
    assert row.epoch_parts_s["logging"] >= 30 * 0.002
    assert document.diagnosis is not None
    # on a machine that is busy with other things nothing is concluded
    assert document.diagnosis.primary in ("input_bound", "inconclusive")
    assert f"Verdict  {document.diagnosis.primary}" in done.stderr
    assert f"recording to .perfkit/{study(tmp_path).path.name}" in done.stderr


def test_under_run_nothing_is_done_twice(tmp_path: Path) -> None:
    """One study, that of `run`, with phases; its verdict is said once."""
    done = script(tmp_path, SLOW, sys.executable, "-m", "perfkit", "run", "--", sys.executable)
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("Verdict  ") == 1 and done.stderr.count("recording to") == 1
    assert stored(tmp_path).command.endswith("train.py")
    steps, events = recorded(tmp_path)
    assert sum(steps.values()) == 60
    assert told(events, "phases")[-1]["count"] == 60


def test_batches_of_any_kind(tmp_path: Path) -> None:
    """A list, a generator, a class: each is a loader, with a step for every batch."""
    done = script(
        tmp_path,
        """
        class Own:
            batch_size = 4
            def __len__(self):
                return 5
            def __iter__(self):
                return (data[:4] for _ in range(5))

        watched = perfkit.watch(Own())
        assert len(watched) == 5 and watched.batch_size == 4 and perfkit.watch(watched) is watched
        for epoch in range(2):
            for batch in watched:
                step(batch)
        for batch in perfkit.watch(data[:4] for _ in range(3)):
            step(batch)
        batches = iter(perfkit.watch([data[:4]] * 9))
        step(next(batches)); step(next(batches))
        assert list(perfkit.watch([1, 2, 3])) == [1, 2, 3]
        """,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    steps, events = recorded(tmp_path)
    assert sorted(steps.values()) == [2, 3, 5, 5]
    loaders = told(events, "loader")
    assert [one["dataset"] for one in loaders] == ["Own", "generator", "list", "list"]
    assert all(one["own"] and one["where"].startswith("train.py:") for one in loaders)
    assert not any("num_workers" in (r.variant or "") for r in stored(tmp_path).diagnosis.remedies)  # type: ignore[union-attr]
    assert "which is no DataLoader" in " ".join(done.stderr.replace("perfkit:", "").split())


def test_a_dataloader_inside_is_the_one_that_counts(tmp_path: Path) -> None:
    """A generator over one, `zip` of two: the records are those that a script without `watch` leaves."""
    loop = """
        def batches():
            for batch in DataLoader(data, batch_size=4):
                yield batch

        for epoch in range(2):
            for batch in WATCH(batches()):
                step(batch)
        pairs = zip(DataLoader(data, batch_size=5), DataLoader(data, batch_size=8))
        for batch, other in WATCH(pairs):
            step(batch)
        """
    own, bare = tmp_path / "own", tmp_path / "bare"
    own.mkdir()
    bare.mkdir()
    assert script(own, loop.replace("WATCH", "perfkit.watch")).returncode == 0
    run = (sys.executable, "-m", "perfkit", "run", "--", sys.executable)
    assert script(bare, loop.replace("WATCH", ""), *run).returncode == 0
    found, expected = stored(own), stored(bare)
    names = ("where", "dataset", "batch_size", "use", "passes", "steps", "batches_seen")
    assert [[one[n] for n in names] for one in found.method["loaders"]] == [
        [one[n] for n in names] for one in expected.method["loaders"]
    ]
    for name in ("steps", "backwards", "updates", "samples"):
        assert found.method[name] == expected.method[name]
    assert found.method["updates"] == 25


def test_a_loader_comes_back_as_it_was(tmp_path: Path) -> None:
    """The same object, and the same weights and random numbers as without."""
    code = """
        loader = DataLoader(data, batch_size=4, shuffle=True)
        assert WATCH(loader) is loader and "perfkit" not in str(vars(loader))
        for batch in WATCH(loader):
            with PHASE:
                step(batch)
        print(model.weight.tolist(), torch.rand(2).tolist())
        """
    own, bare = tmp_path / "own", tmp_path / "bare"
    own.mkdir()
    bare.mkdir()
    one = script(own, code.replace("WATCH", "perfkit.watch").replace("PHASE", "perfkit.phase('a')"))
    two = script(
        bare, code.replace("WATCH", "").replace("PHASE", "__import__('contextlib').nullcontext()")
    )
    assert one.returncode == two.returncode == 0, one.stderr
    assert one.stdout == two.stdout != ""


def test_what_the_script_raises_is_its_own(tmp_path: Path) -> None:
    """Its traceback has none of our frames; what ran before is told, and what ended it."""
    done = script(
        tmp_path,
        """
        def batches():
            yield from [data[:4]] * 8
            raise ValueError("mine")

        for batch in perfkit.watch(batches()):
            with perfkit.phase("step"):
                step(batch)
        """,
    )
    assert done.returncode == 1 and "ValueError: mine" in done.stderr
    trace = [line for line in done.stderr.splitlines() if line.lstrip().startswith("File ")]
    assert len(trace) == 2 and all("train.py" in line for line in trace)
    assert stored(tmp_path).method["steps"] == 8
    assert "the script ended with ValueError: mine" in done.stderr


def test_where_nothing_trains_nothing_is_left(tmp_path: Path) -> None:
    """And that is said in a line."""
    done = script(tmp_path, "print(sum(len(x) for x, _ in perfkit.watch(DataLoader(data))))")
    assert (done.returncode, done.stdout) == (0, "40\n")
    assert "perfkit: nothing trained here" in done.stderr
    assert not list((tmp_path / ".perfkit").glob("*-run"))


def test_other_ranks_record_nothing(tmp_path: Path) -> None:
    """Rank 0 speaks for all of them."""
    done = script(tmp_path, "for batch in perfkit.watch(DataLoader(data)): step(batch)", RANK="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / ".perfkit").exists()


def test_a_process_that_was_killed_is_told_of_later(tmp_path: Path) -> None:
    """`perfkit report` makes the answer from what is there, and says that it is not complete."""
    done = script(
        tmp_path,
        """
        for epoch in range(2):
            for batch in perfkit.watch(DataLoader(data, batch_size=4)):
                step(batch)
            time.sleep(0.6)
        os._exit(9)
        """,
    )
    assert done.returncode == 9 and not study(tmp_path).document.exists()
    command = [sys.executable, "-m", "perfkit", "report", "latest", "--format", "console"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and "Not complete" in said.stdout, said.stderr
    assert not study(tmp_path).document.exists()


def test_each_cell_of_a_notebook_that_trains_is_a_study(tmp_path: Path) -> None:
    """The verdict comes after the cell; a loader watched in another cell begins the next one."""
    pytest.importorskip("IPython")
    code = """
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.user_ns |= globals()
        for cell in (
            "loader = perfkit.watch(DataLoader(data, batch_size=4))",
            "for _ in range(2):\\n    for batch in loader: step(batch)",
            "for batch in DataLoader(data): step(batch)",
            "for batch in loader: step(batch)\\nraise ValueError('mine')",
            "for batch in loader: step(batch)",
        ):
            shell.run_cell(cell)
        """
    done = script(tmp_path, code)
    assert done.returncode == 0, done.stderr
    studies = sorted((tmp_path / ".perfkit").glob("*-run*"))
    found = [documents.read(StudyFolder(path).document) for path in studies]
    assert sorted(one.method["steps"] for one in found) == [10, 10, 20]
    notes = [{note.code for note in one.rows[0].notes} for one in found]
    assert sum("script_failed" in codes for codes in notes) == 1


def test_import_is_lazy() -> None:
    """`import perfkit` and a phase load no torch; there is nothing else in it."""
    code = (
        "import sys, perfkit\n"
        "with perfkit.phase('a'): pass\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        perfkit.nothing  # noqa: B018
    with pytest.raises(TypeError):
        perfkit.phase("a")(print)  # type: ignore[operator]
