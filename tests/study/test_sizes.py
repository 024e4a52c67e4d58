"""The default size of the built-in workloads on machines of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_settings import declared

from perfkit.study.sizes import MOST_WORKERS, Machine, base_config, chosen

GIB = 2**30


def machine(device: str = "cpu", cores: int = 2, memory: int | None = None) -> Machine:
    return Machine(device=device, cores=cores, device_memory_bytes=memory)


def test_two_cores_get_something_quick() -> None:
    """On two cores one trains and one loads, on small images in small batches."""
    config = base_config(machine(), "convnext", declared()["convnext"])
    assert (config.num_threads, config.num_workers) == (1, 1)
    assert (config.count_of("image_size"), config.batch_size, config.num_samples) == (32, 16, 2048)
    assert not config.pin_memory


def test_a_large_gpu_gets_no_toy() -> None:
    """An 80 GiB GPU trains in full batches of larger images, read into pinned memory."""
    config = base_config(machine("cuda:0", 16, 80 * GIB), "convnext", declared()["convnext"])
    assert config.count_of("image_size") == 128
    assert (config.batch_size, config.num_samples) == (256, 32768)
    assert config.pin_memory and config.devices == ("cuda:0",)


@pytest.mark.parametrize(
    ("default", "cores", "threads"), [(8, 16, 8), (16, 4, 4), (None, 16, 16), (1, 16, 1)]
)
def test_threads_beside_a_gpu_are_torch_s_own(
    default: int | None, cores: int, threads: int
) -> None:
    """As many as a script of one's own would have, but no more than the cores that may be used."""
    found = Machine.of("cuda:0", {"cores_usable": cores, "num_threads": default})
    assert base_config(found, "convnext").num_threads == threads


def test_the_learning_rate_is_for_the_batch_that_was_chosen() -> None:
    """Linear scaling starts from the default batch, whatever the machine made of it."""
    for memory in (4 * GIB, 80 * GIB):
        config = base_config(machine("cuda:0", 8, memory), "convnext")
        assert config.lr_batch_size == config.batch_size


def test_what_was_chosen_is_said() -> None:
    """The sentence holds the sizes, in the singular where there is one."""
    text = chosen(machine(), base_config(machine(), "convnext"))
    assert "2 cores" in text and "1 loader worker," in text and "1 torch thread" in text
    gpu = machine("cuda:0", 16, 80 * GIB)
    text = chosen(gpu, base_config(gpu, "convnext"))
    assert "a GPU" in text and "batch 256" in text and "15 loader workers" in text


def test_a_machine_is_read_from_the_environment() -> None:
    """Cores that are not known count as one; a GPU's memory may be unknown."""
    environment: dict[str, Any] = {"cores_usable": None}
    assert Machine.of("cpu", environment) == machine(cores=1)
    environment = {"cores_usable": 8, "device_memory_bytes": 24 * GIB}
    assert Machine.of("cuda:0", environment) == machine("cuda:0", 8, 24 * GIB)


@given(st.integers(1, 512))
def test_a_cpu_is_shared_without_being_oversubscribed(cores: int) -> None:
    """Trainer's threads and workers together never exceed the cores, where there are two at least."""
    config = base_config(machine(cores=cores), "convnext")
    assert config.num_threads >= 1 and 1 <= config.num_workers <= 4
    assert config.num_threads + config.num_workers <= max(cores, 2)


@given(st.integers(1, 512), st.none() | st.integers(1, 200 * GIB))
def test_a_gpu_gets_a_batch_that_its_memory_can_hold(cores: int, memory: int | None) -> None:
    """Batches are powers of two that shrink with the memory, and workers leave the trainer a core."""
    config = base_config(machine("cuda:0", cores, memory), "convnext")
    assert config.batch_size in (16, 32, 64, 128, 256)
    assert 1 <= config.num_workers <= min(MOST_WORKERS, max(1, cores - 1))
    assert config.steps_per_epoch >= 100
    if memory is not None:
        larger = base_config(machine("cuda:0", cores, 2 * memory), "convnext")
        assert larger.batch_size >= config.batch_size
