"""Where a number comes from: our version and commit, the libraries, the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "scipy", "torch", "z3-solver", "sympy")


@cache
def package_version() -> str:
    """The installed distribution's version, "unknown" in a bare checkout."""
    try:
        return version("tworoads")
    except PackageNotFoundError:
        return "unknown"


def _git(*arguments: str) -> str:
    here = Path(__file__).resolve().parent  # the package's own checkout, never the directory the user stands in
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _commit() -> tuple[str, bool | None]:
    root = _git("rev-parse", "--show-toplevel")
    if not root or not (Path(root) / "pyproject.toml").is_file() or Path(root) != Path(__file__).resolve().parents[1]:
        return "", None  # installed into somebody else's checkout: their commit is not ours
    return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--untracked-files=no"))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu(device: str) -> str:
    """The name of the GPU that a run on this device ran on; empty for the CPU."""
    torch: Any = sys.modules.get("torch")  # loaded by whoever ran there
    return torch.cuda.get_device_name() if device == "cuda" and torch and torch.cuda.is_available() else ""


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def provenance(device: str = "cpu") -> dict[str, Any]:
    """A JSON-ready dictionary; gathered once a process for each device."""
    sha, dirty = _commit()
    return {
        "package": package_version(),
        "git_sha": sha,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "cpu": _cpu(),
        "cores": cores(),
        "gpu": _gpu(device),
        "libraries": {name: _installed(name) for name in LIBRARIES},
    }
