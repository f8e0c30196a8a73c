"""Run one job, and record what it found out."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import FarmError, InfrastructureError, Interrupted
from builder.evidence.base import UndeterminedFacts
from builder.jobs.job import Rebuildable, Tools, hash_key_parts
from builder.store.evidence import Evidence, JobOutcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from builder.engine.client import Engine
    from builder.jobs.job import Inputs, Job, Result
    from builder.proxy.proxy import IndexProxy
    from builder.store.store import Store
    from builder.verdicts.codes import FindingCode


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """Runs jobs and records their evidence; its methods may be called by several threads at a time.

    Attributes:
        store: where evidence is recorded.
        engine: the container engine.
        index: the proxy through which containers reach the package index.
        stop: set when the farm is asked to stop.
    """

    store: Store
    engine: Engine
    index: IndexProxy
    stop: threading.Event

    def run_job(
        self, job: Job, key: str, inputs: Inputs, cpus: float, say: Callable[[str], None]
    ) -> Evidence | None:
        """Run a job, record what it found out, and return that as evidence.

        Where the infrastructure fails or the job has a bug, the evidence is `undetermined` and is not recorded, so
        that the next run tries again. None is returned where the job was interrupted.

        Args:
            job: the job.
            key: its key.
            inputs: evidence of the jobs that it needs, by role.
            cpus: how many CPUs the scheduler gives it.
            say: shows one line of progress to the person watching.

        Raises:
            FarmError: the farm cannot go on, for instance because the disk is full.
        """
        log = self.store.log_path(job.id, key)
        log.unlink(missing_ok=True)
        tools = Tools(
            engine=self.engine,
            store=self.store,
            index=self.index,
            log=log,
            stop=self.stop,
            say=say,
            cpus=cpus,
        )

        code: FindingCode = "WF902"
        began = time.monotonic()
        try:
            result = job.run(inputs, tools)
        except Interrupted:
            return None
        except InfrastructureError as error:
            reason = str(error)
            code = error.code
        except FarmError:
            raise  # no other job could go on either
        except Exception as error:
            # When the farm is asked to stop, a job may be cut off and fail in any way: that is no bug of it.
            if self.stop.is_set():
                return None
            reason = f"a mistake in the farm itself: {type(error).__name__}: {error} (log: {log})"
            # The error's text may quote halves of surrogate pairs, which cannot be encoded.
            with log.open("a", errors="backslashreplace") as file:
                traceback.print_exc(file=file)
        else:
            seconds = time.monotonic() - began
            return self._record(job, key, inputs, result, log, seconds)

        return Evidence(
            key=key,
            job=job.id,
            outcome=JobOutcome.UNDETERMINED,
            reason=reason,
            facts=UndeterminedFacts(code=code).to_json(),
            log=self._relative_path(log),
            seconds=time.monotonic() - began,
        )

    def _record(
        self, job: Job, key: str, inputs: Inputs, result: Result, log: Path, seconds: float
    ) -> Evidence:
        """Record the result of a job in the store, and return it as evidence.

        Args:
            job: the job.
            key: its key.
            inputs: evidence of the jobs that it needed, by role.
            result: what it found out.
            log: its log file, which may not exist.
            seconds: how long it ran.
        """
        evidence = Evidence(
            key=key,
            job=job.id,
            facts={**result.facts.to_json(), **self._compare_rebuild(job, key, result)},
            facts_version=result.facts.schema_version,
            files=result.files,
            log=self._relative_path(log),
            seconds=seconds,
            asked=json.dumps(hash_key_parts(job, inputs)),
        )
        self.store.put(evidence)

        return evidence

    def _compare_rebuild(self, job: Job, key: str, result: Result) -> Mapping[str, object]:
        """Return facts about differences between a result and the one recorded before under the same key.

        Empty where nothing was recorded, and for jobs that do not promise to make the same files again.
        """
        if not isinstance(job, Rebuildable):
            return {}
        before = self.store.get(key)
        if before is None:
            return {}

        return job.compare_rebuild(before, result, self.store)

    def _relative_path(self, log: Path) -> str:
        """Return the path of a log relative to the wheelhouse; empty where nothing was written to it."""
        return str(log.relative_to(self.store.wheelhouse)) if log.exists() else ""
