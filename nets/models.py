"""Networks as data: an architecture is a pure function of named weights, a network the two together.

An architecture says which weights it has, how they start, and how they turn tokens into logits. It holds no tensors
and draws no numbers of its own, so that training, storing, filtering and loading are written once, for all of them.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, ClassVar, TypeAlias, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nets.optimise import Differentiate, cross_entropy_
from synth.carrier import IntArray

FloatArray: TypeAlias = npt.NDArray[np.float32]
Weights: TypeAlias = Mapping[str, Tensor]

ARCHITECTURES: Mapping[str, str] = {
    "bilinear": "nets.bilinear:Bilinear",
    "quadratic": "nets.quadratic:Quadratic",
    "relu": "nets.relu:Relu",
    "transformer": "nets.transformer:Transformer",
}
FREE = ("start", "flops", "differentiate")  # what a subclass may have of its own, and compute the same function
BLOCK = 1 << 15  # cells evaluated at once: 32 768 x (size + hidden) floats stay well under 100 MB


@dataclass(frozen=True)
class Architecture(ABC):
    """The shape of a network on a carrier of ``size`` elements with ``arity`` inputs.

    Subclasses add their widths as fields with defaults.
    """

    size: int
    arity: int
    name: ClassVar[str]
    arities: ClassVar[range] = range(1, 5)
    routes: ClassVar[tuple[str, ...]] = ()
    """Weights that carry what tokens say from place to place; a recipe may train them at a pace of their own."""

    def __init_subclass__(cls, **options: Any) -> None:
        # A built-in network's gradient is that of the function beside it: who changes that inherits autograd's.
        super().__init_subclass__(**options)
        written = next(x for x in cls.__mro__ if "differentiate" in vars(x))
        if f"{written.__module__}:{written.__qualname__}" in ARCHITECTURES.values() and _changes(cls, written):
            cls.differentiate = Architecture.differentiate

    def __post_init__(self) -> None:
        if self.arity not in self.arities:
            low, high = self.arities[0], self.arities[-1]
            raise ValueError(f"{self.name}: takes {low} to {high} inputs, got {self.arity}")
        if self.size < 2:
            raise ValueError(f"{self.name}: the carrier must have at least 2 elements, got {self.size}")

    @abstractmethod
    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Fresh weights by name, on the CPU; all randomness comes from ``generator``."""

    @abstractmethod
    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        """Logits, shape (n, size), for tokens of shape (arity, n): one contiguous row for each input."""

    @abstractmethod
    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The weights with one row per token, each with the inputs that read it: (("U0", (0,)), ("U1", (1,)))."""

    @abstractmethod
    def flops(self) -> float:
        """Floating-point operations of one example's forward pass: 2 for each multiply-add in matrix products."""

    def differentiate(self, weights: Weights, gradients: Weights, batch: int, smoothing: float = 0.0) -> Differentiate:
        """The training step's gradient, by autograd; an architecture may write a faster one by hand.

        Args:
            weights, gradients: by name; the returned function reads the first and adds to the second.
            batch: the most examples that it will be given at once, for its buffers.
            smoothing: of the labels, see ``cross_entropy_``.
        """
        del batch
        leaves = {name: x.detach().requires_grad_() for name, x in weights.items()}
        for name, leaf in leaves.items():
            leaf.grad = gradients[name]

        def by_autograd(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                logits = self.forward(leaves, inputs)
                slope = logits.detach().clone()
                loss, hits = cross_entropy_(slope, labels, smoothing)
                logits.backward(slope)
            return loss, hits

        return by_autograd


Kind = TypeVar("Kind", bound=Architecture)


def computes_as(architecture: Architecture, *kinds: type[Kind]) -> TypeGuard[Kind]:
    """Whether the architecture is of one of these classes, or of a subclass that still computes the same function.

    A subclass with a ``forward`` of its own, or with another of the methods that it may run through, has weights of the
    same names that mean something else: only ``start``, ``flops`` and ``differentiate`` are its own to change.
    """
    return any(isinstance(architecture, kind) and not _changes(type(architecture), kind) for kind in kinds)


def _changes(cls: type, base: type) -> bool:
    """Whether a class comes to methods of ``base`` that are not the base's, ``FREE`` ones apart."""
    before = cls.__mro__[: cls.__mro__.index(base)]
    return any(
        hasattr(base, name)
        and name not in FREE
        and not name.startswith("__")
        and (callable(value) or hasattr(value, "__get__"))
        for x in before
        for name, value in vars(x).items()
    )


def add_rows(table: Tensor, index: Tensor, values: Tensor) -> None:
    """table[index] += values, with repeated indices summed, in the same order every time.

    On CUDA index_add is not deterministic, a product with the one-hot matrix is.
    """
    if table.is_cuda:
        table.addmm_(torch.nn.functional.one_hot(index, len(table)).to(values.dtype).T, values)
    else:
        table.index_add_(0, index, values)


def normal(generator: torch.Generator, *shape: int, scale: float) -> Tensor:
    """Gaussian weights of standard deviation ``scale``."""
    return torch.randn(shape, generator=generator) * scale


@dataclass(frozen=True, eq=False)
class Network:
    """An architecture with weights: what is trained, stored and read.

    Attributes:
        architecture: the function.
        weights: its parameters by name; training changes them in place.
    """

    architecture: Architecture
    weights: Weights

    @property
    def device(self) -> torch.device:
        return next(iter(self.weights.values())).device

    def logits(self, inputs: IntArray) -> FloatArray:
        """Logits, shape (n, size), float32, for ``inputs`` of shape (n, arity)."""
        with torch.no_grad():
            parts = [self._forward(inputs[i : i + BLOCK]).cpu().numpy() for i in range(0, len(inputs), BLOCK)]
        if not parts:
            return np.zeros((0, self.architecture.size), dtype=np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict(self, inputs: IntArray) -> IntArray:
        """The most likely value of each row of ``inputs`` (n, arity), shape (n,); ties go to the smallest value."""
        with torch.no_grad():
            parts = [self._forward(inputs[i : i + BLOCK]).argmax(1).cpu().numpy() for i in range(0, len(inputs), BLOCK)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def state(self) -> dict[str, FloatArray]:
        """A copy of the weights, float32, by name: what is stored with a record."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.weights.items()}

    def with_weights(self, changed: Weights) -> Network:
        """The same network with some weights replaced."""
        return Network(self.architecture, {**self.weights, **changed})

    def _forward(self, inputs: IntArray) -> Tensor:
        return self.architecture.forward(self.weights, tokens(inputs, self.device))


def tokens(inputs: IntArray, device: torch.device | str = "cpu") -> Tensor:
    """Inputs of shape (n, arity) as the (arity, n) tensor that architectures read."""
    return torch.from_numpy(np.array(inputs.T, order="C")).to(device)  # a copy: torch can't hold read-only memory


def architecture(name: str, size: int, arity: int, **options: int | float) -> Architecture:
    """The architecture of that name ("bilinear"), or of a user's own class ("my_module:MyNetwork").

    Raises:
        ValueError: no such architecture, an arity that it does not take, or an option that it does not have.
    """
    place = ARCHITECTURES.get(name, name if ":" in name else "")
    if not place:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"architecture: no network {name!r}; there are {', '.join(ARCHITECTURES)}{hint}")
    module, _, attribute = place.partition(":")
    kind: type[Architecture] = getattr(import_module(module), attribute)
    known = {x.name for x in fields(kind)} - {"size", "arity"}
    if unknown := sorted(set(options) - known):
        raise ValueError(f"{name}: no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return kind(size, arity, **options)  # pyright: ignore[reportArgumentType]


def fresh(architecture: Architecture, seed: int, device: torch.device | str = "cpu") -> Network:
    """An untrained network; the seed decides its weights and nothing else."""
    generator = torch.Generator().manual_seed(seed)
    return Network(architecture, {name: x.to(device) for name, x in architecture.start(generator).items()})


def from_state(architecture: Architecture, state: Mapping[str, npt.NDArray[Any]]) -> Network:
    """The network whose stored weights are ``state``, on the CPU, with the same predictions.

    Raises:
        ValueError: a weight is missing, superfluous or of another shape than the architecture's.
    """
    wanted = {name: tuple(x.shape) for name, x in architecture.start(torch.Generator()).items()}
    given = {name: tuple(x.shape) for name, x in state.items()}
    if wanted != given:
        wrong = next(name for name in [*wanted, *given] if wanted.get(name) != given.get(name))
        raise ValueError(
            f"from_state: {architecture.name} wants {wrong} of shape {wanted.get(wrong)}, got {given.get(wrong)}"
        )
    return Network(architecture, {name: torch.from_numpy(np.array(x, dtype=np.float32)) for name, x in state.items()})
