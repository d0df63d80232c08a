"""A GPU that is none: tensors on "cuda" that are computed on the CPU and refuse to meet any that are not on "cuda".

What a GPU would refuse is refused here in the same places: tensors of two devices in one operation, numpy's view of
one, a CPU generator for random numbers there. Numbers come out as on the CPU, so that whole trainings can be compared.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("cuda", 0)
aten = torch.ops.aten
ACROSS = (aten.copy_.default, aten._to_copy.default)  # what may have tensors of two devices


class Mixed(Exception):
    """Tensors of two devices met."""


class Elsewhere(Tensor):
    """A tensor on the pretended GPU, with the numbers that it stands for."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        # To C++ it is on "meta", where autograd asks for no CUDA streams.
        made = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device="meta",
        )  # fmt: skip
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:
        return GPU

    @property
    def is_cuda(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Elsewhere({self.inner!r})"

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    there = [x for x in flat if isinstance(x, Elsewhere)]
    here = [x for x in flat if not isinstance(x, Elsewhere) and x.dim()]  # torch takes a number from anywhere
    if there and here and func not in ACROSS:
        raise Mixed(f"{func}: cuda {[tuple(x.shape) for x in there]} and cpu {[tuple(x.shape) for x in here]}")
    asked = kwargs.get("device")
    on_gpu = bool(there) if asked is None else torch.device(asked).type in ("cuda", "meta")
    if func is aten.copy_.default:
        on_gpu = isinstance(args[0], Elsewhere)
    if on_gpu and kwargs.get("generator") is not None:
        raise Mixed(f"{func}: a generator of the CPU for numbers on cuda")
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if kwargs.pop("pin_memory", None):
        raise Mixed(f"{func}: pinned memory is not pretended")
    found = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if not on_gpu:
        return found
    wrapped = tree_map(lambda x: Elsewhere(x) if isinstance(x, Tensor) else x, found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if there else wrapped


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, Elsewhere) else x


class _Operations(TorchDispatchMode):
    def __init__(self, seen: set[str]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(x, Elsewhere) for x in tree_flatten((args, kwargs))[0]):
            self.seen.add(str(func.overloadpacket).removeprefix("aten."))
        return _compute(func, args, kwargs or {})


class _Devices(TorchFunctionMode):
    """What torch settles below all dispatching: which "cuda" is meant, and where ``torch.tensor`` puts its numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(_numbered, args), tree_map(_numbered, kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            return func(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        return func(*args, **kwargs)


def _numbered(x: Any) -> Any:
    return GPU if isinstance(x, str | torch.device) and str(x) == "cuda" else x


@contextmanager
def pretended_gpu() -> Generator[set[str]]:
    """Meanwhile "cuda" is a device; the names of what is computed there are collected."""
    seen: set[str] = set()
    with mock.patch("torch.cuda._lazy_init"), _Devices(), _Operations(seen):
        yield seen
