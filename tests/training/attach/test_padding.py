"""Padding in what a batch looks up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.launching import AT_STEP, Launching
from perfkit.training.attach.padding import Counted, Padding, of_mask, tokens_of
from perfkit.training.attach.precision import graph

PAD = 7
WORDS = 50


def texts(lengths: list[int], positions: int, *, left: bool = False) -> torch.Tensor:
    """Rows of words from 10 on, filled up with `PAD`."""
    rows = torch.full((len(lengths), positions), PAD)
    for row, length in zip(rows, lengths, strict=True):
        words = 10 + torch.arange(length) % 30
        if left:
            row[positions - length :] = words
        else:
            row[:length] = words
    return rows


def loss_of(tokens: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """A loss over looked-up words, and what smaller tables are asked for beside them."""
    total = nn.Embedding(WORDS, 4)(tokens).sum()
    for other in others:
        total = total + nn.Embedding(WORDS - 10, 4)(other).sum()
    return total


def padding_of(loss: torch.Tensor) -> Padding | None:
    tokens = tokens_of(graph(loss.grad_fn, 1000))
    return None if tokens is None else Counted(tokens).read()


@pytest.mark.parametrize("left", [False, True])
def test_padding_is_counted_at_the_end_where_it_is(left: bool) -> None:
    """Of 4 x 20 positions 47 are padding, and the longest text has 14."""
    tokens = texts([5, 14, 8, 6], 20, left=left)
    assert padding_of(loss_of(tokens)) == Padding(rows=4, positions=20, padded=47, spare=6)


def test_words_that_are_padding_elsewhere_are_none() -> None:
    """What stands between words is a word; a row may end with another token than most."""
    tokens = texts([20, 8, 8, 8], 20)
    tokens[1, 3] = PAD
    assert padding_of(loss_of(tokens)) == Padding(4, 20, padded=36, spare=0)


def test_the_table_with_the_most_rows_tells_what_the_tokens_are() -> None:
    """Token types are all one number, and positions the same in each row."""
    tokens, types = texts([12, 16, 20, 20], 20), torch.zeros(4, 20, dtype=torch.long)
    places = torch.arange(20).expand(4, 20)
    assert padding_of(loss_of(tokens, types, places)) == Padding(4, 20, padded=12, spare=0)


@pytest.mark.parametrize(
    "tokens",
    [
        torch.zeros(4, 20, dtype=torch.long),
        10 + torch.arange(80).reshape(4, 20) % 37,
    ],
)
def test_rows_without_padding_have_none(tokens: torch.Tensor) -> None:
    """Nothing but one token, and a text cut into blocks."""
    found = padding_of(loss_of(tokens))
    assert found is not None and found.padded <= 4 and found.spare == 0


@pytest.mark.parametrize("shape", [(80,), (1, 80), (8, 10), (2, 4, 20)])
def test_features_and_single_texts_are_not_looked_at(shape: tuple[int, ...]) -> None:
    """One number for each sample, one row, short rows, rows of rows."""
    assert tokens_of(graph(loss_of(torch.zeros(shape, dtype=torch.long)).grad_fn, 1000)) is None


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        ([4, 9, 5, 6], "70 % of the tokens in a batch are padding: its longest text has 9 of 20 positions"),
        ([20, 20, 16, 12], None),
    ],
)  # fmt: skip
def test_much_of_it_is_a_fact_of_the_process(
    tmp_path: Path, lengths: list[int], text: str | None
) -> None:
    """Told once, and nothing of the script's is changed."""
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    state: Any = torch.random.get_rng_state()
    loss = loss_of(texts(lengths, 20))
    before = torch.random.get_rng_state()
    for trained in (AT_STEP, AT_STEP + 1):
        launching.backward(folder, trained, (loss,), {})
    assert torch.equal(before, torch.random.get_rng_state()) and not torch.equal(before, state)
    facts = [one for one in folder.rank.events.read() if one["event"] == "fact"]
    assert [one["text"] for one in facts if one["code"] == "padding"] == ([text] if text else [])
    assert launching.is_known


@pytest.mark.parametrize("left", [False, True])
def test_a_batch_that_has_a_mask_tells_it_itself(tmp_path: Path, left: bool) -> None:
    """Of a network whose embeddings do not learn there is nothing in the graph; it is told once."""
    tokens = texts([4, 9, 5, 6], 20, left=left)
    batch = {"input_ids": tokens, "attention_mask": (tokens != PAD).long()}
    assert of_mask(batch) == Padding(4, 20, padded=56, spare=11)
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    launching.batch(folder, batch)
    launching.backward(folder, AT_STEP, (loss_of(tokens),), {})
    facts = [one["text"] for one in folder.rank.events.read() if one["event"] == "fact"]
    assert facts == [
        "70 % of the tokens in a batch are padding: its longest text has 9 of 20 positions"
    ]


@pytest.mark.parametrize(
    "batch",
    [
        None,
        (torch.zeros(4, 20), torch.zeros(4)),
        {"input_ids": torch.zeros(4, 20)},
        {"attention_mask": torch.zeros(4, 1, 20, 20)},
        {"attention_mask": [1, 0]},
        {"attention_mask": torch.zeros(4, 20, device="meta")},
    ],
)
def test_a_batch_without_a_mask_of_texts_tells_nothing(batch: Any) -> None:
    """Whatever it is."""
    assert of_mask(batch) is None


def test_what_a_device_has_not_counted_yet_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is two steps behind (a mock: there is none here): nobody waits for it."""
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    answers = [None, None, Padding(4, 20, 60, 10)]
    monkeypatch.setattr(Counted, "read", lambda self: answers.pop(0))
    loss = loss_of(texts([4, 9, 5, 6], 20))
    known = []
    for trained in range(AT_STEP, AT_STEP + 4):
        launching.backward(folder, trained, (loss,), {})
        known.append(launching.is_known)
    assert known == [False, False, True, True]
    facts = [one for one in folder.rank.events.read() if one["event"] == "fact"]
    assert [one["value"]["padded"] for one in facts] == [60]
