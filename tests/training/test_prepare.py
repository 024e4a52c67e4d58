"""The child that makes data, by its protocol: questions in, JSON lines out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS
from own_settings import having
from PIL import Image

from perfkit import discovery
from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.training.workloads import _files, _jpegs

MAKES = """
from pathlib import Path

from perfkit.training.workloads import _jpegs
from perfkit.training.workloads.baseline import SETTINGS, factory


def prepare(config, progress):
    print("a stranger's workload may print", end="")
    sizes = _jpegs.Sizes(classes=2, train_per_class=60, eval_per_class=10, side=16)
    return _jpegs.make(Path(config.cache_dir), progress, sizes)
"""
REFUSES = """
from perfkit.errors import UsageError


def prepare(config, progress):
    progress(1, 2, "somewhere")
    raise UsageError("planted: no such data", hint="plant some")
"""
FAILS = """
def prepare(config, progress):
    raise ValueError("planted [bug]")
"""
COUNTS_BADLY = """
from perfkit.training.workloads.baseline import SETTINGS, factory


def num_samples(config):
    raise SystemExit("planted")
"""
HAS_ITS_OWN = """
from functools import partial
import torch
from torch.utils.data import TensorDataset
from perfkit.training.workload import Workload


def prepare(config, progress):
    return None


def factory(config):
    data = TensorDataset(torch.randn(100, 4), torch.zeros(100, dtype=torch.long))
    model, loss = torch.nn.Linear(4, 2), torch.nn.CrossEntropyLoss()
    return Workload(model=model, loss=loss, dataset=data, optimizer=partial(torch.optim.SGD, lr=0.1))
"""
LIMITED = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
runpy.run_module("perfkit.training.answers", run_name="__main__")
"""


READS = """
import sys
from perfkit.training.workloads.baseline import SETTINGS, factory


def num_samples(config):
    return len(sys.stdin.read())
"""


def asked(*configs: RunConfig, plugins: Path = PLUGINS) -> list[dict[str, Any]]:
    """What one process answers that is asked to make the data of these, one after another."""
    return answers(*({"prepare": to_json(each)} for each in configs), plugins=plugins)


def answers(
    *questions: Any,
    arguments: tuple[str, ...] = ("-m", "perfkit.training.answers"),
    plugins: Path = PLUGINS,
) -> list[dict[str, Any]]:
    """What the child answers to questions, or lines of text, line by line, without a traceback.

    Less the line that says that the workload is being built, which only the engine's time limit reads.
    """
    lines = [each if isinstance(each, str) else json.dumps(each) for each in questions]
    done = subprocess.run(
        [sys.executable, *arguments],
        input="".join(line + "\n" for line in lines),
        env={**os.environ, "PERFKIT_PATH": str(plugins)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return [answer for answer in said if answer["event"] != "building"]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A configuration with an empty cache."""
    return RunConfig(arch="convnext", cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A PERFKIT_PATH folder with workloads that make data, refuse, fail and have data of their own."""
    folder = tmp_path / "strangers" / "workloads"
    folder.mkdir(parents=True)
    (folder / "makes.py").write_text(MAKES)
    (folder / "refuses.py").write_text(REFUSES)
    (folder / "fails.py").write_text(FAILS)
    (folder / "counts_badly.py").write_text(COUNTS_BADLY)
    (folder / "has_its_own.py").write_text(HAS_ITS_OWN)
    (folder / "reads.py").write_text(READS)
    return folder.parent


def test_a_workload_without_data_needs_none(config: RunConfig) -> None:
    """A stranger's file that has no `prepare` is done at once, and its data is nowhere."""
    (done,) = asked(replace(config, arch="tiny"))
    assert (done["event"], done["path"]) == ("done", None)
    assert not Path(config.cache_dir).exists()


def test_data_is_made_and_found_again(config: RunConfig, strangers: Path) -> None:
    """Progress up to the total, then where it lies; asked again, only where. What it prints is no answer."""
    makes = replace(config, arch="makes")
    where = str(Path(config.cache_dir) / _jpegs.NAME)
    *progress, done, again = asked(makes, makes, plugins=strangers)
    assert [line["event"] for line in progress] == ["progress"] * 3
    assert [(line["done"], line["total"]) for line in progress] == [
        (64, 140),
        (128, 140),
        (140, 140),
    ]
    assert {line["path"] for line in progress} == {where}
    assert (done["event"], done["path"]) == ("done", where)
    assert (again["event"], again["path"]) == ("done", where)


def test_one_process_tells_what_goes_wrong_and_goes_on(config: RunConfig, strangers: Path) -> None:
    """Each workload's error is the answer to its question, and the next question is answered."""
    archs = ("refuses", "fails", "counts_badly", "convnet", "reads", "has_its_own")
    progress, refused, failed, miscounted, unknown, read, done = asked(
        *(replace(config, arch=arch) for arch in archs), plugins=strangers
    )
    assert progress["event"] == "progress", "what there was before the error"
    assert refused == {
        "event": "failed",
        "message": "planted: no such data",
        "hint": "plant some",
        "exit_code": 2,
    }
    # exit code 1, for it may not be the user's doing
    assert failed == {
        "event": "failed",
        "message": "workload fails: its prepare failed: ValueError: planted [bug]",
        "hint": f"it was raised in {strangers / 'workloads' / 'fails.py'}, line 3",
        "exit_code": 1,
    }
    # also where it leaves the process
    assert (miscounted["event"], miscounted["exit_code"]) == ("failed", 1)
    assert (
        miscounted["message"]
        == "workload counts_badly: its num_samples failed: SystemExit: planted"
    )
    assert (unknown["event"], unknown["exit_code"]) == ("failed", 2)
    assert unknown["message"] == "unknown workload 'convnet'"
    assert "convnext" in unknown["hint"]
    # one that reads gets none of the questions
    assert (read["event"], read["num_samples"]) == ("done", 0)
    # with a `prepare` or without, an epoch is as long as what the factory makes
    assert done == {"event": "done", "path": None, "num_samples": 100}


def test_a_missing_folder(config: RunConfig, tmp_path: Path) -> None:
    """A folder of one's own that is not there is named."""
    (failed,) = asked(having(config, data=f"folder:{tmp_path / 'gone'}"))
    assert (failed["event"], failed["exit_code"]) == ("failed", 2)
    assert str(tmp_path / "gone") in failed["message"]
    assert failed["hint"]


def test_an_unreadable_image(config: RunConfig, tmp_path: Path) -> None:
    """It is told before anything is measured, not by a worker in the middle of a block."""
    for name in ("images/a/1.png", "images/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    own = replace(having(config, data=f"folder:{tmp_path / 'images'}"), arch="baseline")
    (done,) = asked(own)
    assert (done["event"], done["path"]) == ("done", str(tmp_path / "images"))
    (tmp_path / "images/b/3.jpg").write_bytes(b"")
    (failed,) = asked(own)
    assert (failed["event"], failed["exit_code"]) == ("failed", 2)
    assert failed["message"].startswith(f"cannot read image {tmp_path / 'images/b/3.jpg'}: ")


@pytest.mark.skipif(os.name != "posix", reason="sets a limit of POSIX")
def test_no_space(config: RunConfig) -> None:
    """A limit on file sizes stands in for a full disk: exit code 2, and where else data can go."""
    # -B: the limit would cut short the bytecode of imports too
    (failed,) = answers({"prepare": to_json(config)}, arguments=("-B", "-c", LIMITED))
    assert (failed["event"], failed["exit_code"]) == ("failed", 2)
    assert config.cache_dir in failed["message"]
    assert "PERFKIT_CACHE_DIR" in failed["hint"]
    assert not list(Path(config.cache_dir).glob("jpeg*.making*"))


def test_questions_that_are_none() -> None:
    """No JSON, no object, no question, no configuration: an answer each that says so, and no traceback."""
    garbage = ["", "not JSON", '{"prepare": {"arch": "convnext"', "[]", "null", '{"survey": 1}']
    garbage += ['{"prepare": []}', '{"prepare": {"arch": 3}}']
    said = answers(*garbage)
    assert [(each["event"], each["exit_code"]) for each in said] == [("failed", 2)] * len(garbage)
    kinds = ["not JSON"] * 3 + ["neither survey nor prepare"] * 3
    kinds += ["should be an object", "arch should be str"]
    assert all(kind in each["message"] for kind, each in zip(kinds, said, strict=True))


@pytest.mark.parametrize("arch", ["convnext", "baseline"])
def test_built_in_workloads_make_their_images(arch: str) -> None:
    """Both networks train on the images that `_files.prepare` makes or checks."""
    assert discovery.load("workloads", arch).prepare is _files.prepare
