"""What a state works with: the run, its inputs with verified digests, timers, threads, and a way to publish.

Each state is a module with a `SPEC` and a `run(context)`; in `run` the same four steps follow each other:
load, compute, validate, write. States that work in shards take the four steps shard by shard.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import MissingInputError
from segment5b_lib.states.steps import Step, StepLog
from segment5b_lib.store.digest import require_unchanged, sha256_file, sha256_files
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.parquet import write_table
from segment5b_lib.store.publish import STAGING_PREFIX, replace_folder, sync, sync_tree, write_file
from segment5b_lib.store.records import Counters, Marker, OutputLine
from segment5b_lib.store.runs import Run, policies_digest

_Shard = TypeVar("_Shard")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class StateSpec:
    """A state's contract: which policies and datasets it reads, which datasets it writes.

    `reads_world` are upstream dataset ids, `reads_states` the states whose outputs it needs.
    """

    name: str
    title: str
    policies: tuple[str, ...]
    reads_world: tuple[str, ...]
    reads_states: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """Progress of a step: `done` of `total` units, `rows` rows so far."""

    state: str
    step: str
    done: int
    total: int
    rows: int


def silent(progress: Progress) -> None:
    """No-op listener."""


@dataclass
class Context:
    run: Run
    spec: StateSpec
    threads: int
    listener: Callable[[Progress], None] = silent
    steps: StepLog = field(default_factory=StepLog)
    inputs: dict[str, str] = field(default_factory=dict)

    def step(self, name: str, lane: Lane) -> AbstractContextManager[Step]:
        return self.steps.step(name, lane)

    def map_shards(
        self, name: str, work: Callable[[_Shard], _Result], shards: Sequence[_Shard], rows: Sequence[int]
    ) -> list[_Result]:
        """Run `work` on every shard, `threads` at a time; results come in shard order.

        `rows` are the rows of each shard, for progress; the largest begin first, so that the threads end together. The
        first failure stops the rest.
        """
        progress, lock = [0, 0], threading.Lock()

        def process_shard(position: int) -> _Result:
            result = work(shards[position])
            with lock:
                progress[0] += 1
                progress[1] += rows[position]
                self.listener(Progress(self.spec.name, name, progress[0], len(shards), progress[1]))
            return result

        with self.steps.parallel(), ThreadPoolExecutor(max_workers=self.threads) as pool:
            largest_first = sorted(range(len(shards)), key=lambda position: -rows[position])
            futures = {position: pool.submit(process_shard, position) for position in largest_first}
            done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
            if any(future.exception() is not None for future in done):
                pool.shutdown(cancel_futures=True)
            return [futures[position].result() for position in range(len(shards)) if not futures[position].cancelled()]

    def verify_inputs(self, *, unhashed: Collection[Path] = ()) -> None:
        """Re-hash every file this state reads and compare with the digest recorded for it.

        `unhashed` are files that the caller checks in another way; their recorded digests are copied.

        Raises
        ------
        StaleError : a file differs from what S0 sealed or from what a state published.
        """
        recorded = self.recorded_inputs()
        hashed = {path: digest for path, (_, digest) in recorded.items() if path not in unhashed}
        with self.step("verify input digests", Lane.INPUT_LOAD) as step:
            require_unchanged(
                hashed,
                f"5B.{self.spec.name}.INPUT_CHANGED",
                "an input is not what was sealed or published",
                next_step="restore the file; or rebuild the world, or rerun the state that writes it",
                threads=self.threads,
            )
            step.bytes = sum(path.stat().st_size for path in hashed)
        self.inputs.update(recorded.values())

    def recorded_inputs(self) -> dict[Path, tuple[str, str]]:
        """Every file this state reads: path to its name in the marker and its recorded digest."""
        recorded: dict[Path, tuple[str, str]] = {}
        if self.spec.reads_world:
            sealed = read_json(self.run.file("sealed_inputs_5B"))
            for member in sealed:
                if member["artifact_id"] in self.spec.reads_world:
                    for path, digest in member["files"].items():
                        recorded[self.run.world.root / path] = (path, digest)
        for state in self.spec.reads_states:
            marker = self.run.marker(state)
            if marker is None:
                raise MissingInputError(
                    f"5B.{self.spec.name}.STATE_MISSING",
                    f"{self.spec.name} needs what {state} publishes",
                    where=str(self.run.marker_path(state)),
                    next_step=f"segment5b run {state}",
                )
            for output in marker.outputs:
                recorded[self.run.root / output.path] = (output.path, output.sha256)
        return recorded

    def withdraw_marker(self) -> None:
        """Mark this state's outputs as incomplete, before they are touched."""
        self.run.marker_path(self.spec.name).unlink(missing_ok=True)

    def write_marker(self, outputs: Sequence[OutputLine], counters: Counters) -> None:
        """Mark this state's outputs as complete, with their digests and those of their inputs and policies."""
        marker = Marker(
            state=self.spec.name,
            inputs=self.inputs,
            policies=policies_digest(self.run.policies, self.spec.policies),
            outputs=tuple(outputs),
            counters=counters,
            produced_by_parameter_hash=self.run.receipt.parameter_hash,
        )
        write_file(self.run.marker_path(self.spec.name), marker.content())

    @contextmanager
    def publication(self) -> Iterator[Publication]:
        """Stage this state's outputs; they appear together when the block ends without an error."""
        publication = Publication(self)
        try:
            yield publication
            with self.step("publish", Lane.WRITE) as step:
                step.bytes = publication.commit()
        finally:
            publication.discard()


class Publication:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._staged: dict[Path, tuple[Path, str]] = {}
        self._sealed: dict[Path, Future[str]] = {}
        self._sealer = ThreadPoolExecutor(max_workers=1)
        self._lock = threading.Lock()
        self.counters: Counters = {}

    def folder(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        """Staging folder of one of the state's datasets; empty on first use."""
        assert dataset_id in self._context.spec.writes, dataset_id
        target = self._context.run.folder(dataset_id, scenario_id)
        with self._lock:
            if target not in self._staged:
                work = target.with_name(f"{STAGING_PREFIX}{target.name}")
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir(parents=True)
                self._staged[target] = (work, dataset_id)
            return self._staged[target][0]

    def write_part(self, dataset_id: str, scenario_id: str, part: int, table: pa.Table) -> None:
        """Write one part file of a dataset in a step of the write lane."""
        contract = dataset(dataset_id)
        path = self.folder(dataset_id, scenario_id) / contract.file.format(part=part)
        with self._context.step(f"write {dataset_id}", Lane.WRITE) as step:
            write_table(path, table, contract)
            step.rows, step.bytes = table.num_rows, path.stat().st_size
        self.seal(path)

    def seal(self, path: Path) -> None:
        """Flush and hash a file that is complete, in the background while others are made; one thread waits for it."""
        sealed = self._sealer.submit(_fsync_and_hash, path)
        if self._context.threads == 1:
            sealed.result()
        with self._lock:
            self._sealed[path] = sealed

    def commit(self) -> int:
        """Publish everything, the marker with all digests last. Returns the bytes published."""
        context = self._context
        for work, _ in self._staged.values():
            sync_tree(work)
        outputs = self._describe()
        context.withdraw_marker()
        for target, (work, _) in self._staged.items():
            replace_folder(work, target)
        context.write_marker(outputs, self.counters)
        return sum(output.bytes for output in outputs)

    def _describe(self) -> list[OutputLine]:
        files = {
            path: (target / path.relative_to(work), dataset_id)
            for target, (work, dataset_id) in self._staged.items()
            for path in sorted(work.rglob("*"))
            if path.is_file()
        }
        digests = {path: future.result() for path, future in self._sealed.items()}
        digests |= sha256_files(files.keys() - digests.keys(), self._context.threads)
        described = [
            OutputLine(
                dataset_id=dataset_id,
                path=final.relative_to(self._context.run.root).as_posix(),
                sha256=digests[path],
                bytes=path.stat().st_size,
            )
            for path, (final, dataset_id) in files.items()
        ]
        return sorted(described, key=lambda output: output.path)

    def discard(self) -> None:
        self._sealer.shutdown(cancel_futures=True)
        for work, _ in self._staged.values():
            shutil.rmtree(work, ignore_errors=True)


def _fsync_and_hash(path: Path) -> str:
    sync(path)
    return sha256_file(path)
