"""Tables of embeddings that get a gradient for every row."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from perfkit.training.attach.embeddings import LEAST_ELEMENTS, Tables, dense_tables
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.launching import AT_STEP, Launching
from perfkit.training.attach.precision import graph

WIDTH = 16
ROWS = LEAST_ELEMENTS // WIDTH


def tables_of(loss: torch.Tensor) -> Tables | None:
    return dense_tables(graph(loss.grad_fn, 1000))


def looked_up(table: nn.Embedding, count: int) -> torch.Tensor:
    return table(torch.arange(count) % table.num_embeddings)


def test_rows_and_what_the_batch_touches_are_counted() -> None:
    """Of two tables, one of which is asked twice; the layer behind them has few weights."""
    users, items = nn.Embedding(ROWS, WIDTH), nn.Embedding(2 * ROWS, WIDTH)
    whole = torch.cat([looked_up(users, 64), looked_up(items, 64), looked_up(items, 64)], dim=1)
    assert tables_of(nn.Linear(3 * WIDTH, 1)(whole).sum()) == Tables(3 * ROWS, 192)


@pytest.mark.parametrize(
    ("rows", "sparse", "count"),
    [(ROWS - 1, False, 64), (ROWS, True, 64), (ROWS, False, ROWS // 10 + 1)],
)
def test_a_small_a_sparse_and_a_touched_table_are_not_told(
    rows: int, sparse: bool, count: int
) -> None:
    """None of them has much to save."""
    assert tables_of(looked_up(nn.Embedding(ROWS, WIDTH), 64).sum()) == Tables(ROWS, 64)
    assert tables_of(looked_up(nn.Embedding(rows, WIDTH, sparse=sparse), count).sum()) is None


def test_a_table_that_an_output_layer_shares_is_not_told() -> None:
    """Its product gives every row a gradient."""
    table = nn.Embedding(ROWS, WIDTH)
    assert tables_of((looked_up(table, 64) @ table.weight.T).sum()) is None


def test_a_table_beside_more_weights_is_not_told() -> None:
    """It is their update then that takes the time; frozen ones have none."""
    layer = nn.Linear(WIDTH, LEAST_ELEMENTS // WIDTH + 1)
    loss = layer(looked_up(nn.Embedding(ROWS, WIDTH), 64)).sum()
    assert tables_of(loss) is None
    layer.requires_grad_(False)
    assert tables_of(layer(looked_up(nn.Embedding(ROWS, WIDTH), 64)).sum()) is not None


def test_it_is_a_fact_of_the_process(tmp_path: Path) -> None:
    """Told once, before the backward, which goes on as it was."""
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    table = nn.Embedding(ROWS, WIDTH)
    loss = looked_up(table, 64).sum()
    for trained in (AT_STEP, AT_STEP + 1):
        launching.backward(folder, trained, (loss,), {})
    (fact,) = [one for one in folder.rank.events.read() if one["event"] == "fact"]
    assert (fact["code"], fact["value"]) == ("dense_embedding", {"rows": ROWS, "touched": 64})
    assert fact["text"].startswith("embeddings of 62,500 rows get a gradient for each row")
    loss.backward()  # type: ignore[no-untyped-call]
    assert table.weight.grad is not None and table.weight.grad.shape == (ROWS, WIDTH)
