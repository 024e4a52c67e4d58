"""Fixed-size binary records: the step records of a trainer, the fetch records of a loader worker.

A record file is a 16-byte header (8 bytes of magic, version, record size) and records of one size, so
it can be appended to by one writer, read while that goes on, and read after any death: a torn last
record is dropped. A missing number is NaN in the file and to its reader, who says None to the next.

Format history of the step records:
    1  first version.
    2  `ready`, `backwards`, `updates` and `run_delay_s`; phases are entered and left, and may nest.
Of the fetch records:
    1  first version.
    2  `tensors`.
Of the span records:
    1  first version.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, TypeVar

from perfkit.errors import DamagedFile, LaterVersion

NAN = math.nan
UNKNOWN = -1
"""In a field that counts: it was not told."""
LIBRARY = "<library>"
"""What samples of a stack call time in which no function runs that has a name of use to anybody."""
WORKER_STACK = "worker_stack"
"""The event that says what a loader worker was seen in while it made batches."""
PHASES = (
    "h2d",
    "forward",
    "backward",
    "optimizer",
    "evaluation",
    "periodic",
    "checkpoint",
    "collective",
)
"""What a loop may be doing, by number; the first four are phases of a step."""
H2D, FORWARD, BACKWARD, OPTIMIZER, EVALUATION, PERIODIC, CHECKPOINT, COLLECTIVE = range(len(PHASES))
STEP_PHASES = 4
_HEADER = struct.Struct("<8sII")


class StepRecord(NamedTuple):
    """One training step. Times are seconds but for `start_ns`; NaN means not measured.

    The host's phases are read from `perf_counter_ns` round each phase of the loop. The device's are
    intervals on the device's own clock between marks in its stream, NaN where the device is the host. A phase
    inside another one counts as itself alone.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    """Number of the step in its process, from 0."""
    block: int
    """Block it belongs to; -1 outside blocks (warm-up, edges of an epoch)."""
    samples: int
    queue_depth: int
    """Batches that were ready when the step asked for one; -1 unknown."""
    ready: int
    """1: the next batch in order was ready when the step asked for it; 0: it was not; -1 unknown."""
    backwards: int
    """Backward passes in the step; -1 unknown."""
    updates: int
    """Updates by an optimizer in the step; -1 unknown."""
    start_ns: int
    """`perf_counter_ns` when the step asked for its batch."""
    step_s: float
    """Host time from asking for this batch to asking for the next."""
    data_wait_s: float
    """Host time inside `next(loader)`."""
    h2d_s: float
    forward_s: float
    backward_s: float
    optimizer_s: float
    device_step_s: float
    """Device time from asking for this batch to asking for the next."""
    exposed_wait_s: float
    """What the device sat idle while the host waited for the batch; equals `data_wait_s` without a device."""
    device_h2d_s: float
    device_forward_s: float
    device_backward_s: float
    device_optimizer_s: float
    lead_s: float
    """How far the host ran ahead of the device when it asked for the batch; 0 when the device was idle."""
    run_delay_s: float
    """Time in the step that the training thread could have run and had no core (Linux: the second field of
    its schedstat). Steps shorter than 50 ms share readings; the sum over a block is exact."""

    @property
    def own_step_s(self) -> float:
        """Time of the step where it ran: on the device's clock where there is one, else the host's."""
        return self.step_s if math.isnan(self.device_step_s) else self.device_step_s


class SpanRecord(NamedTuple):
    """Work of a loop that is no phase of a step: evaluation, metrics, a checkpoint, a collective."""

    phase: int
    """Its place in `PHASES`."""
    after_step: int
    """Steps that had ended when it began."""
    start_ns: int
    """`perf_counter_ns` when it began."""
    span_s: float
    """From its begin to its end."""
    own_s: float
    """Of that, what was in no other phase inside it."""


class FetchRecord(NamedTuple):
    """One batch made by a loader worker (worker 0 is the trainer itself when there are none)."""

    worker: int
    batch: int
    """How many batches this worker had made before."""
    samples: int
    end_ns: int
    """`perf_counter_ns` when the batch was handed over."""
    idle_s: float
    """Waiting for something to do."""
    fetch_s: float
    """Reading and transforming the samples."""
    fetch_cpu_s: float
    """CPU time of that; the rest was blocked."""
    collate_s: float
    collate_cpu_s: float
    handover_s: float
    """Putting the batch into the result queue."""
    serialise_cpu_s: float
    """CPU time of the queue's own thread since the last record: pickling and shared memory. NaN where
    the trainer fetches for itself."""
    tensors: int = UNKNOWN
    """Tensors in the batch, each handed over by itself; -1 where nothing is handed over."""


R = TypeVar("R", bound=tuple[object, ...])


class RecordFormat(Generic[R]):
    """How one kind of record is laid out in a file.

    Args:
        magic: eight bytes that begin a file of this kind.
        kind: the NamedTuple of its records.
        layout: struct codes of the fields, little-endian and unpadded.
        version: of that layout.
        older: by earlier version, its layout and what makes a record of today from its fields.
    """

    def __init__(
        self,
        magic: bytes,
        kind: type[R],
        layout: str,
        *,
        version: int = 1,
        older: Mapping[int, tuple[str, Callable[..., R]]] | None = None,
    ) -> None:
        self.magic = magic
        self.kind = kind
        self.version = version
        self.struct = struct.Struct("<" + layout)
        self._readers: dict[int, tuple[struct.Struct, Callable[..., R]]] = {
            number: (struct.Struct("<" + codes), make)
            for number, (codes, make) in (older or {}).items()
        }
        self._readers[version] = (self.struct, kind)

    @property
    def header(self) -> bytes:
        """What a file of this kind begins with."""
        return _HEADER.pack(self.magic, self.version, self.struct.size)

    def pack(self, record: R) -> bytes:
        """Return the bytes of one record."""
        return self.struct.pack(*record)

    def pack_columns(self, columns: Iterable[Iterable[object]]) -> bytes:
        """Return the bytes of many records.

        Args:
            columns: by fields, each field's value in every record; the shortest says how many there are.
        """
        return b"".join(map(self.struct.pack, *columns))

    def read(self, path: Path, *, first: int = 0, count: int | None = None) -> Iterator[R]:
        """Yield the records of a file, `count` from number `first` on, without holding them all.

        A torn last record is dropped; a file that is empty or holds half a header has no records yet.

        Raises:
            DamagedFile: the file is not of this kind.
            LaterVersion: a later perfkit wrote it.
            FileNotFoundError: there is no such file.
        """
        with path.open("rb") as file:
            reader = self._reader(file, path)
            if reader is None:
                return
            layout, make = reader
            file.seek(_HEADER.size + first * layout.size)
            left = count
            while left is None or left > 0:
                wanted = 4096 if left is None else min(4096, left)
                chunk = file.read(wanted * layout.size)
                whole = len(chunk) // layout.size
                for values in layout.iter_unpack(chunk[: whole * layout.size]):
                    yield make(*values)
                if whole < wanted:
                    return
                left = None if left is None else left - whole

    def count(self, path: Path) -> int:
        """Return how many whole records a file holds; 0 when it does not exist.

        Raises:
            DamagedFile, LaterVersion: as `read`.
        """
        try:
            with path.open("rb") as file:
                reader = self._reader(file, path)
                size = path.stat().st_size
        except FileNotFoundError:
            return 0
        return 0 if reader is None else max(0, size - _HEADER.size) // reader[0].size

    def _reader(self, file: BinaryIO, path: Path) -> tuple[struct.Struct, Callable[..., R]] | None:
        """Return the layout of a file and what makes its records; None when it has no whole header yet."""
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            if not any(self._head(version).startswith(head) for version in self._readers):
                raise DamagedFile(f"{path} is not a perfkit record file")
            return None
        magic, version, size = _HEADER.unpack(head)
        if magic != self.magic:
            raise DamagedFile(f"{path} is not a perfkit record file of this kind")
        if version > self.version:
            raise LaterVersion(
                f"{path} has record format {version}; this perfkit reads up to {self.version}",
                hint="read it with the perfkit that wrote it, or a later one",
            )
        reader = self._readers.get(version)
        if reader is None or size != reader[0].size:
            expected = "" if reader is None else f" instead of {reader[0].size}"
            raise DamagedFile(f"{path} has records of {size} bytes{expected}")
        return reader

    def _head(self, version: int) -> bytes:
        return _HEADER.pack(self.magic, version, self._readers[version][0].size)


def _step_of_version_1(
    index: int, block: int, samples: int, queue_depth: int, start_ns: int, *times_s: float
) -> StepRecord:
    counts = (UNKNOWN, UNKNOWN, UNKNOWN)
    head = (index, block, samples, queue_depth, *counts, start_ns)
    return StepRecord._make((*head, *times_s, NAN))


STEPS: RecordFormat[StepRecord] = RecordFormat(
    b"PKSTEPS\0",
    StepRecord,
    "IiihhhhxxxxQ14d",
    version=2,
    older={1: ("IiihxxQ13d", _step_of_version_1)},
)
FETCHES: RecordFormat[FetchRecord] = RecordFormat(
    b"PKFETCH\0", FetchRecord, "iiiQ7di", version=2, older={1: ("iiiQ7d", FetchRecord)}
)
SPANS: RecordFormat[SpanRecord] = RecordFormat(b"PKSPANS\0", SpanRecord, "iIQ2d")
