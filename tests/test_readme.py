"""The README and the pages beside it: their commands are taken, links lead somewhere, tables are whole."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

import pages
import pytest
from bench_command import DATA, ENVIRONMENT, leave
from bench_process import bench, environment, rows, study

from perfkit import discovery, variants
from perfkit.cli import diagnose as diagnose_command
from perfkit.cli import measure, run
from perfkit.document import Status
from perfkit.study import search, start
from perfkit.study.bench.request import BUILT_IN
from perfkit.training import contract

TYPED = [(page, words) for page in pages.PAGES for words in pages.commands(page)]
OURS = [(page, words) for page, words in TYPED if words[0] == "perfkit"]
TRAIN = """
import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.utils.data.TensorDataset(torch.randn(320, 8), torch.randint(2, (320,)))
loader = torch.utils.data.DataLoader(data, batch_size=16)


def augment(batch):
    return [batch[0] + 1, batch[1]]


def train_on(batch):
    torch.nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    optimizer.zero_grad()


for _ in range(parser.parse_args().epochs):
"""


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_block_is_labelled(page: str) -> None:
    """As a command, as output or as code; every fence has its end."""
    found = pages.blocks(page)
    assert {block.label for block in found} <= {"sh", "text", "python"}
    assert len(re.findall("^```", pages.text_of(page), re.MULTILINE)) == 2 * len(found)


def test_the_first_two_blocks_set_up_by_themselves() -> None:
    """The main job first, the tests second, where CI looks for them; what they install is there."""
    first, second = (pages.blocks(pages.README, "sh")[n].text.splitlines() for n in (0, 1))
    for lines in (first, second):
        assert lines[:2] == ["python3 -m venv .venv", ". .venv/bin/activate"]
        assert lines[2].startswith("pip install -c constraints.txt -e ")
    assert first[3:] == ["perfkit bench --arch convnext --amp"]
    assert second[3:] == ["pytest -q"]
    project = (pages.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\w+", second[2].partition("[")[2]):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)
    assert (pages.ROOT / "constraints.txt").is_file()


def test_ones_own_environment_keeps_its_torch() -> None:
    """Where one trains, perfkit is installed without its constraints, and the least torch is as told."""
    (alone,) = (b.text for b in pages.blocks(pages.README, "sh") if "/path/to/perfkit" in b.text)
    assert alone.splitlines()[0] == "pip install /path/to/perfkit"
    project = (pages.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (least,) = re.findall(r'"torch>=([\d.]+)"', project)
    assert f"torch {least} or later" in pages.text_of(pages.README)


@pytest.mark.parametrize(("page", "words"), [pair for pair in TYPED if pair not in OURS])
def test_commands_of_others_name_files_that_exist(page: str, words: list[str]) -> None:
    """Those that set up, test and check: each is one that is known here."""
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    known = {"python3", ".", "pip", "pytest", "pre-commit", "jq", ".ci/run"}
    assert words[0] in known
    for word in words:
        if word.startswith((".ci/", "tests/")):
            assert (pages.ROOT / word).exists()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages' commands name, a machine of two cores, and nothing that measures."""
    answer = pages.ROOT / "reports" / "two-core-cpu" / "document.json"
    for name in ("old.json", "new.json", "main.json"):
        shutil.copy(answer, tmp_path / name)
    watched = set(re.findall(r"[0-9]{8}T[0-9]{6}Z-run", pages.text_of(pages.README)))
    for name in ("A", "B", *sorted(watched)):
        (tmp_path / ".perfkit" / name).mkdir(parents=True)
        shutil.copy(answer, tmp_path / ".perfkit" / name / "document.json")
    (tmp_path / "benchmarks").symlink_to(pages.ROOT / "benchmarks")
    (source,) = (b.text for b in pages.blocks(pages.README, "python") if "def factory" in b.text)
    (tmp_path / "my_model.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.fspath(tmp_path / "summary.md"))

    def survey(device: str | None, archs: Any = (), child: Any = None) -> dict[str, Any]:
        own = {a: contract.declared(a, discovery.load_workload(a)[0]) for a in archs}
        return {"device": "cpu", "environment": dict(ENVIRONMENT), "settings": own}

    monkeypatch.setattr(start, "survey", survey)
    monkeypatch.setattr(start, "prepare", lambda config, emit, timeout_s, child: DATA)
    monkeypatch.setattr(search, "fits", lambda path, config, **_: config.batch_size < 100)
    monkeypatch.setattr(measure, "measure", lambda prepared, *_, **__: 0)
    for module in (run, diagnose_command):
        monkeypatch.setattr(module, "attach", lambda request, json: 0)
    return tmp_path


@pytest.mark.parametrize(("page", "words"), OURS, ids=[shlex.join(words) for _, words in OURS])
def test_commands_are_taken(
    desk: Path, monkeypatch: pytest.MonkeyPatch, page: str, words: list[str]
) -> None:
    """`report` and `compare` run; the others parse, lay out their rows and stop short of measuring."""
    _, command, *flags = (os.path.expandvars(word) for word in words)
    if "--resume" in flags:
        assert leave(monkeypatch, command=command) == 0
    assert leave(monkeypatch, *flags, command=command) == 0
    if "-o" in flags:
        assert Path(flags[flags.index("-o") + 1]).stat().st_size > 0


def test_a_wrong_command_is_not_taken(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above would see: an unknown flag, variant, setting or preset."""
    for flags in (
        ["--no-such-flag"],
        ["--variant", "bf17"],
        ["--set", "base_chanels=96"],
        ["--preset", "novel"],
        ["--arch", "missing.py:factory"],
    ):
        assert leave(monkeypatch, *flags) == 2


def test_the_watched_loop_runs_under_perfkit_run(tmp_path: Path) -> None:
    """The README's loop is a script's, run by the README's command: one recording, and a row of it."""
    (loop,) = (b.text for b in pages.blocks(pages.README, "python") if "perfkit.watch" in b.text)
    script = TRAIN + textwrap.indent(loop, "    ")
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    words = ["perfkit", "run", "--", "python", "train.py", "--epochs", "3"]
    assert words in pages.commands(pages.README)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    code, out, err = bench(tmp_path, *words[2:], command="run", env=environment(PATH=path))
    assert (code, out) == (0, "")
    assert all(line.startswith("perfkit:") for line in err.splitlines())
    (row,) = rows(study(tmp_path) / "document.json").values()
    assert row["status"] == "ok"
    assert row["epoch_parts_s"]["augment"] > 0


@pytest.mark.parametrize("page", pages.PAGES)
def test_links_and_names_of_files_lead_somewhere(page: str) -> None:
    """From the page itself for links; from the repository or the package for names."""
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        assert ((pages.ROOT / page).parent / path).exists(), target
        assert not anchor or anchor in pages.anchors(path or page), target
    for name in pages.files_named(page):
        places = (pages.ROOT, pages.ROOT / "perfkit")
        assert any((place / name).exists() for place in places), name


def test_the_table_of_variants_is_whole() -> None:
    """Every variant, and every setting of the built-in workloads, is in the README's table."""
    cells = " ".join(row[0] for row in pages.table(pages.README, "A **variant**"))
    named = set(re.findall(r"`(\w+)", cells)) - {"NAME"}
    own = {s.name for a in BUILT_IN for s in discovery.load("workloads", a).SETTINGS}
    assert named == set(variants.names()) | own


def test_the_glossary_is_whole() -> None:
    """Every verdict that a rule can give, and every status of a row, is told."""
    kinds = {row[0].strip("`") for row in pages.table(pages.METHOD, "## Verdicts")}
    assert kinds == {*discovery.names("rules"), "balanced", "inconclusive"}
    words = {row[0]: row[1] for row in pages.table(pages.METHOD, "## Glossary")}
    assert set(re.findall(r"`(\w+)`", words["status"])) == set(get_args(Status))
