"""A stranger's own model and data: named by where its factory is, measured or refused with a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_here import bench_here
from bench_process import bench, rows

SHORT = ("--generations", "1", "--steps", "5", "--num-workers", "0", "--json", "out.json")
README = Path(__file__).parents[2] / "README.md"
MODEL = """
import torch
from perfkit.training.workload import Workload

def factory(config):
    data = torch.utils.data.TensorDataset(torch.randn({samples}, 4), torch.zeros({samples}).long())
    return Workload(
        model=torch.nn.Linear(4, 2),
        loss={loss},
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        dataset=data,
    )
"""
OWN_STEP = """
import torch
from perfkit.training.workload import Workload

class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 97

    def __getitem__(self, index):
        return {"words": torch.randn(4), "label": index % 2}

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.LazyLinear(8), torch.nn.Linear(8, 2)

    def forward(self, words, label):
        if len(words) == 1:
            raise ValueError("one sample is too few")
        return {"loss": torch.nn.functional.cross_entropy(self.head(self.body(words)), label)}

def step(model, batch):
    return model(**batch)["loss"]

def optimizers(parameters):
    first, second = torch.optim.SGD(parameters[:2], lr=0.1), torch.optim.AdamW(parameters[2:])
    return first, second

def factory(config):
    return Workload(model=Model(), step=step, optimizer=optimizers, dataset=Words())
"""


@pytest.fixture
def write(tmp_path: Path):
    """Write a file with a factory into the folder that bench is run in."""

    def written(name: str, samples: int = 100, loss: str = "torch.nn.CrossEntropyLoss()") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(MODEL.format(samples=samples, loss=loss))
        return path

    return written


def test_the_readmes_ten_lines_run_as_printed(tmp_path: Path) -> None:
    """The factory of the README, and the command below it, give a table."""
    text = README.read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n# (?:my_model)\.py\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "my_model.py").write_text(source, encoding="utf-8")
    assert "perfkit bench --arch my_model.py:factory --amp" in text
    code, out, err = bench(tmp_path, "--arch", "my_model.py:factory", "--amp", *SHORT)
    assert code == 0, err
    assert set(rows(tmp_path / "out.json")) == {f"my_model.py:factory/{p}" for p in ("fp32", "amp")}
    assert "my_model.py:factory/amp" in out


def test_files_and_modules_are_found(tmp_path: Path, write) -> None:
    """An epoch is the dataset's own length, a partial batch included; a real one stands beside it."""
    write("mine.py")
    write("package/mine.py")
    archs = ("./mine.py:factory", "package.mine:factory")
    asked = [flag for arch in archs for flag in ("--arch", arch)]
    code, out, err = bench(tmp_path, *asked, "--full-epoch", *SHORT)
    assert code == 0, err
    found = rows(tmp_path / "out.json")
    assert list(found) == [f"{arch}/fp32" for arch in archs]
    for row in found.values():
        assert row["status"] == "ok"
        assert {"steps", "partial_batch"} <= row["epoch_parts_s"].keys()
        assert len(row["generation_full_epoch_s"]) == 1 and row["generation_full_epoch_s"][0] > 0
        assert "full_epoch" in {note["code"] for note in row["notes"]}
    assert "the forecast was" in out


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ("mine.py", "names no factory"),
        ("mine.py:nope", "no function nope"),
        ("nothere.py:factory", "no file nothere.py"),
        ("not.a.module:factory", "not.a.module cannot be imported"),
        ("broken.py:factory", "SyntaxError"),
        ("notone.py:factory", "gave a int, not a Workload"),
        ("empty.py:factory", "dataset is empty"),
        ("noloss.py:factory", "its loss is a str"),
        ("timm:no_such_model", "timm"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path,
    write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arch: str,
    says: str,
) -> None:
    """Before anything is measured: message, hint, exit code 2, no traceback."""
    write("mine.py")
    write("empty.py", samples=0)
    write("noloss.py", loss="'cross-entropy'")
    (tmp_path / "broken.py").write_text("def factory(config:\n")
    (tmp_path / "notone.py").write_text("def factory(config):\n    return 3\n")
    code, out, err = bench_here(monkeypatch, capsys, tmp_path, "--arch", arch, *SHORT)
    assert (code, out) == (2, "")
    assert says in err and "error: " in err and "Traceback" not in err
    assert not (tmp_path / "out.json").exists()


def test_a_step_of_ones_own_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches of dicts, two optimizers, a lazy layer; a last sample that is refused costs only itself."""
    (tmp_path / "mine.py").write_text(OWN_STEP)
    arguments = ["--arch", "mine.py:factory", "--full-epoch", *SHORT]
    code, _, err = bench_here(monkeypatch, capsys, tmp_path, *arguments)
    assert code == 0, err
    row = rows(tmp_path / "out.json")["mine.py:factory/fp32"]
    assert row["status"] == "ok"
    assert row["flops_per_sample"] == 2 * 2 * 4 * 8 + 3 * 2 * 8 * 2
    assert row["epoch_parts_s"].keys() == {"steps", "epoch_start"}
    assert row["unavailable"]["partial_batch"] == "failed"
    assert any("one sample is too few" in note["text"] for note in row["notes"])
    assert row["generation_full_epoch_s"] == []


HUNGRY = """
class Hungry(torch.nn.Linear):
    def forward(self, x):
        # a GB that is touched, for every sample from the one on that is too many
        torch.ones(max(0, len(x) - {most}) << 28)
        return super().forward(x)
"""


def hungry(path: Path, most: int) -> None:
    """Write a training on seventeen samples whose memory has room for batches of `most` samples."""
    text = MODEL.format(samples=17, loss="torch.nn.CrossEntropyLoss()")
    path.write_text(text.replace("torch.nn.Linear", "Hungry") + HUNGRY.format(most=most))


def test_the_largest_batch_under_a_limit_is_found_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real limit on memory, and real trials of sixteen samples, of all seventeen, and of two less."""
    hungry(tmp_path / "hungry.py", most=16)
    arguments = ["--arch", "hungry.py:factory", "--batch-size", "max", "--memory-limit", "1200MB"]
    code, out, err = bench_here(monkeypatch, capsys, tmp_path, *arguments, *SHORT)
    assert code == 0, err
    said = "batch 15 is 6.2% below the largest that ran a few steps, 16; 17 ran out of memory"
    assert said in " ".join(out.split())
    assert rows(tmp_path / "out.json")["hungry.py:factory/fp32"]["status"] == "ok"
