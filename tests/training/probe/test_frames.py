"""Which function a training loop calls, as its stack shows it."""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from looked import special
from torch.utils.data import DataLoader, Subset

from perfkit.training.probe.frames import (
    OURS,
    Seen,
    place,
    seen_in,
    users_codes,
)
from perfkit.training.probe.libraries import seen_fetching


class Looks:
    """Takes the loop's code once, then what is seen of the stack."""

    def __init__(self) -> None:
        self.loop: tuple[CodeType, ...] = ()
        self.seen: list[Seen] = []

    def asks(self) -> None:
        self.loop = users_codes(sys._getframe().f_back)

    def sample(self) -> None:
        frame = sys._getframe().f_back
        assert frame is not None
        self.seen.append(seen_in(frame, self.loop))


def burn(looks: Looks) -> None:
    looks.sample()


def make_plots(looks: Looks) -> None:
    burn(looks)


def f1(looks: Looks) -> None:
    [looks.sample() for _ in range(1)]


@contextmanager
def off() -> Any:
    yield


@off()
def decorated(looks: Looks) -> None:
    looks.sample()


def fetch(looks: Looks) -> None:
    """A helper of the loop that asks for the batch."""
    looks.asks()


def train(looks: Looks, work: Callable[[Looks], Any]) -> int:
    """Returns the line that calls the work."""
    fetch(looks)
    work(looks)
    return train.__code__.co_firstlineno + 3


def seen(work: Callable[[Looks], Any]) -> tuple[Seen, int]:
    looks = Looks()
    line = train(looks, work)
    (found,) = looks.seen
    return found, line


def test_the_function_that_the_loop_calls_is_named_with_the_line_of_the_call() -> None:
    """And the one that it led to beside it; the helper that asks for the batch is not the loop."""
    found, line = seen(make_plots)
    assert (found.function, found.line, found.path) == ("make_plots", line, __file__)
    assert (found.inner, found.inner_line) == ("burn", burn.__code__.co_firstlineno + 1)


def test_a_function_by_itself_has_no_inner_one() -> None:
    found, line = seen(burn)
    assert (found.function, found.line, found.inner) == ("burn", line, "")


def test_a_comprehension_is_part_of_its_function() -> None:
    found, line = seen(f1)
    assert (found.function, found.line, found.inner) == ("f1", line, "")


def test_a_function_called_in_a_comprehension_or_a_lambda_of_the_loop_is_named() -> None:
    """The lambda stands in `loop`, which calls nothing else."""

    def loop(looks: Looks) -> int:
        looks.asks()
        (lambda: [burn(looks) for _ in range(1)])()
        return loop.__code__.co_firstlineno + 2

    looks = Looks()
    line = loop(looks)
    assert [(one.function, one.line) for one in looks.seen] == [("burn", line)]


def test_a_lambda_of_the_loop_that_calls_nothing_is_the_loop_s_own_line() -> None:
    def loop(looks: Looks) -> int:
        looks.asks()
        (lambda: looks.sample())()
        return loop.__code__.co_firstlineno + 2

    looks = Looks()
    line = loop(looks)
    assert [(one.function, one.line) for one in looks.seen] == [("loop", line)]


def test_the_call_of_a_decorated_function_is_where_it_is_called() -> None:
    """`torch.no_grad()` as a decorator lies between."""
    found, line = seen(decorated)
    assert (found.function, found.line) == ("decorated", line)


def test_a_function_that_a_library_calls_has_its_own_line() -> None:
    """The loop's line would name the library's call, as `trainer.fit()`."""

    def finished(future: Future[Looks]) -> None:
        future.result().sample()

    def work(looks: Looks) -> None:
        done: Future[Looks] = Future()
        done.set_result(looks)
        looks.asks()
        done.add_done_callback(finished)

    looks = Looks()
    work(looks)
    (found,) = looks.seen
    assert (found.function, found.line) == ("finished", finished.__code__.co_firstlineno + 1)


def test_without_a_loop_the_outermost_function_is_named() -> None:
    """As in a thread of its own, before a batch was asked for."""
    looks = Looks()
    thread = threading.Thread(target=make_plots, args=(looks,))
    thread.start()
    thread.join()
    (found,) = looks.seen
    line = make_plots.__code__.co_firstlineno + 1
    assert (found.function, found.line, found.inner) == ("make_plots", line, "burn")


FOLDER = """
class ImageFolder:
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return [self.transform(part) for part in (index,)][0]
"""
SAMPLER = """
class Weighted:
    def __init__(self, draw): self.draw = draw
    def __iter__(self): yield self.draw()
"""
IMAGE = """
def resize(sample):
    return sample()
"""


def installed(path: Path, source: str) -> Any:
    """The module of a package that lies where packages are installed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def looks(found: list[Any]) -> int:
    """Native code of a library's, as a stack shows it: what calls it."""
    frame = sys._getframe().f_back
    assert frame is not None
    found.append(seen_fetching(frame))
    return 0


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_library_s_data_set_is_named_with_what_it_led_to(tmp_path: Path, wrapped: bool) -> None:
    """Not torch's own that are wrapped round it; files are relative to where packages are installed."""
    packages = tmp_path / "venv" / "site-packages"
    folder = installed(packages / "torchvision" / "folder.py", FOLDER)
    image = installed(packages / "PIL" / "image.py", IMAGE)
    found: list[Seen | None] = []
    images = folder.ImageFolder(lambda _: image.resize(lambda: looks(found)))
    # the lambdas of this file are the test's, and stand for no function with a name
    list(DataLoader(Subset(images, [0]) if wrapped else images))
    (seen,) = found
    assert seen is not None
    assert seen.told() == {
        "function": special("ImageFolder", "__getitem__"),
        "where": "torchvision/folder.py:10",
        "inner": "resize",
        "inner_where": "PIL/image.py:3",
    }


def test_a_library_s_sampler_is_named_by_its_class(tmp_path: Path) -> None:
    """It runs for a batch as well, before its samples are fetched."""
    sampler = installed(tmp_path / "site-packages" / "samplers.py", SAMPLER)
    found: list[Seen | None] = []
    loader = DataLoader(range(1), sampler=sampler.Weighted(lambda: looks(found)))  # type: ignore[arg-type]
    list(loader)
    (seen,) = found
    assert seen is not None
    name = special("Weighted", "__iter__")
    assert seen.told() == {"function": name, "where": "samplers.py:4"}


def test_where_no_loader_makes_a_batch_no_library_is_named(tmp_path: Path) -> None:
    image = installed(tmp_path / "site-packages" / "PIL" / "image.py", IMAGE)
    found: list[Seen | None] = []
    image.resize(lambda: looks(found))
    assert found == [None]


def test_a_data_set_of_perfkit_is_named_as_a_library_s_is() -> None:
    """What wraps torch's functions to time them is not."""
    from perfkit.training import workloads
    from perfkit.training.probe import worker

    sources = {
        str(Path(str(module.__file__)).parent / "made.py"): name
        for module, name in ((workloads, "decode"), (worker, "timed"))
    }
    found: list[Seen | None] = []
    inner: Callable[[], Any] = functools.partial(looks, found)
    for path, name in sources.items():
        spaces: dict[str, Any] = {"inner": inner}
        exec(compile(f"def {name}():\n    return inner()\n", path, "exec"), spaces)
        inner = spaces[name]
    list(DataLoader(range(1), collate_fn=lambda _: inner()))  # type: ignore[arg-type]
    (seen,) = found
    assert seen is not None
    assert (seen.function, seen.inner) == ("decode", "")


def test_a_place_is_told_as_short_as_it_is_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own relative to where they work, a package's relative to where packages are."""
    monkeypatch.chdir(tmp_path)
    own, elsewhere = tmp_path / "src" / "train.py", tmp_path.parent / "other.py"
    ours = Path(OURS) / "training" / "workloads" / "jpegs.py"
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    assert [
        place(str(path), 7) for path in (own, elsewhere, ours, packages / "PIL" / "image.py")
    ] == [
        "src/train.py:7",
        f"{elsewhere}:7",
        "perfkit/training/workloads/jpegs.py:7",
        "PIL/image.py:7",
    ]
