"""A worker process: what it sets before any library loads, and how it is spawned without the caller's script.

Nothing heavy may be imported here: the environment below must be set before numpy or torch is.
"""

from __future__ import annotations

import multiprocessing.context
import os
import signal
import sys
from multiprocessing import popen_spawn_posix, process
from threading import Lock
from typing import Any

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def start(threads: int) -> None:
    """First thing in a worker: one run's threads, idle ones asleep, and Ctrl-C left to the parent."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # spinning idle threads halve the speed of busy machines
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # float32 is float32, whatever the user's shell says
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # products that come out the same every time
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_hiding = Lock()


class _Popen(popen_spawn_posix.Popen):
    """Spawn without re-importing the caller's __main__: our workers never need it, and a script or notebook without
    an ``if __name__ == "__main__"`` guard would otherwise start itself again in each of them."""

    def _launch(self, process_obj: Any) -> None:
        main = sys.modules["__main__"]
        with _hiding:
            saved = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
            main.__dict__["__spec__"] = None
            try:
                super()._launch(process_obj)  # pyright: ignore[reportAttributeAccessIssue]
            finally:
                main.__dict__.pop("__spec__")
                main.__dict__.update(saved)


class _Process(multiprocessing.context.SpawnProcess):
    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> Any:
        return _Popen(process_obj)


class WorkerContext(multiprocessing.context.SpawnContext):
    """The spawn context with the process class above."""

    Process = _Process  # pyright: ignore[reportAssignmentType]
