"""Tensors with proven error bounds: a network's own forward pass, run on midpoints and radii at once.

An ``Enclosed`` tensor stands for all tensors within ``radius`` of ``middle``, entry by entry. Every operation takes the
midpoints through the same operation in float64 and bounds what that operation makes of the radii, plus its own
rounding (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.: the standard model 2.4, and gamma_n =
n u / (1 - n u) for sums of n products in any order, 3.1). So the result encloses three things: the value over the real
numbers, the midpoint, and whatever an evaluation with unit roundoff ``unit`` comes to, its sums in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

DOUBLE = 2.0**-53  # unit roundoff of float64, rounding to nearest
SINGLE = 2.0**-24
LARGEST = 2.0**40  # magnitudes beyond it are refused, and so are sums of more terms than LONGEST, so that the
LONGEST = 1 << 20  # constants below suffice
_GUARD = 1 + 2.0**-29  # a radius is a sum of fewer than 2^21 non-negative terms: its own rounding is below 2^-30 of it
_TERMS = 18  # of exp's series on [-1/2, 1/2]: what is left out is below .5^19 / 19! * e^.5 < 3e-23
_REST = 3e-23

aten: Any = torch.ops.aten  # pyright: ignore[reportUnknownVariableType]


class NoBound(Exception):
    """What a forward pass does cannot be enclosed; the message says which operation, or what grew too large."""


class Enclosed(Tensor):
    """``middle`` and ``radius``, float64 tensors of one shape; operations on it are those of torch."""

    middle: Tensor
    radius: Tensor
    unit: float

    @staticmethod
    def __new__(cls: type[Enclosed], middle: Tensor, radius: Tensor, unit: float) -> Enclosed:
        made: Any = Tensor._make_wrapper_subclass  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
        return made(cls, middle.shape, strides=middle.stride(), dtype=torch.float64, device=middle.device)

    def __init__(self, middle: Tensor, radius: Tensor, unit: float) -> None:
        if middle.numel():
            (low, high), (least, most) = (float(x) for x in middle.aminmax()), (float(x) for x in radius.aminmax())
            if not max(-low, high) + most <= LARGEST:
                raise NoBound(f"a value beyond {LARGEST:g}")
            if least < 0:
                raise NoBound("a mixture of numbers and positions")
        self.middle, self.radius, self.unit = middle, radius, unit

    @classmethod
    def exactly(cls, value: Tensor, unit: float = DOUBLE) -> Enclosed:
        """Numbers known exactly, such as stored float32 weights."""
        middle = value.detach().cpu().double()
        return cls(middle, torch.zeros_like(middle), unit)

    def __repr__(self, **_: Any) -> str:
        return f"Enclosed({self.middle}, radius={self.radius})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        rule = RULES.get(func.overloadpacket)
        if rule is not None:
            return rule(func, *args, **(kwargs or {}))
        simpler = func.decompose(*args, **(kwargs or {}))
        if simpler is NotImplemented:
            raise NoBound(f"the operation {str(func.overloadpacket).removeprefix('aten.')}")
        return simpler


def _tiny(unit: float) -> float:
    """More than underflow can take from any sum of products of admitted magnitudes, flushed to zero or not."""
    return 2.0**-900 if unit == DOUBLE else 2.0**-60


def _unit(*values: Any) -> float:
    return next(x.unit for x in values if isinstance(x, Enclosed))


def _enclosed(value: Any, unit: float) -> Enclosed:
    """A number or a plain tensor as the doubles it is, and as what a coarser evaluation rounds those to."""
    if isinstance(value, Enclosed):
        return value
    middle = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    coarse = 0.0 if unit == DOUBLE else unit
    return Enclosed(middle, middle.abs() * coarse, unit)


def gamma(n: int, unit: float) -> float:
    """Higham's gamma_n, rounded up: the relative error of a sum of n products, against the sum of their magnitudes."""
    if n > LONGEST:
        raise NoBound(f"a sum of {n} terms")
    return n * unit / (1 - n * unit) * _GUARD


def _rounded(middle: Tensor, radius: Tensor, unit: float) -> Enclosed:
    """A result of one rounding each way: radius for the operands, plus the rounding of both evaluations."""
    both = gamma(1, unit) + gamma(1, DOUBLE)
    # (radius + both (|middle| + radius) + tiny) guard, in place: fresh memory costs more than the arithmetic
    wider = middle.abs().add_(radius).mul_(both).add_(radius).add_(_tiny(unit)).mul_(_GUARD)
    return Enclosed(middle, wider, unit)


def _add(_: Any, one: Any, two: Any, *, alpha: float = 1) -> Enclosed:
    unit = _unit(one, two)
    x, y = _enclosed(one, unit), _enclosed(two, unit)
    if alpha not in (1, -1):
        y = _mul(None, y, alpha)
    return _rounded(x.middle + y.middle if alpha != -1 else x.middle - y.middle, x.radius + y.radius, unit)


def _sub(_: Any, one: Any, two: Any, *, alpha: float = 1) -> Enclosed:
    return _add(None, one, two, alpha=-alpha)


def _neg(_: Any, one: Enclosed) -> Enclosed:
    return Enclosed(-one.middle, one.radius, one.unit)


def _mul(_: Any, one: Any, two: Any) -> Enclosed:
    unit = _unit(one, two)
    x, y = _enclosed(one, unit), _enclosed(two, unit)
    # |x| ry + rx (|y| + ry)
    radius = x.middle.abs() * y.radius + y.middle.abs().add_(y.radius).mul(x.radius)
    return _rounded(x.middle * y.middle, radius, unit)


def _pow(_: Any, one: Any, exponent: float = 2) -> Enclosed:
    if exponent != 2:
        raise NoBound(f"a power of {exponent}")
    return _mul(None, one, one)


def _div(_: Any, one: Any, two: Any) -> Enclosed:
    unit = _unit(one, two)
    x, y = _enclosed(one, unit), _enclosed(two, unit)
    least = y.middle.abs() - y.radius * _GUARD
    if not bool((least > (0 if unit == DOUBLE else 2.0**-126)).all()):
        raise NoBound("a division by what may be 0")
    quotient = x.middle / y.middle
    # (x + dx) / (y + dy) - x / y = (dx - x/y dy) / (y + dy)
    radius = (x.radius + quotient.abs() * _GUARD * y.radius) / least * _GUARD
    return _rounded(quotient, radius, unit)


def _sum(_: Any, one: Enclosed, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Enclosed:
    if dtype not in (None, torch.float64):
        raise NoBound(f"a sum in {dtype}")
    size = list(range(one.dim())) if dim is None or dim == [] else dim
    middle, radius = one.middle.sum(size, keepdim), one.radius.sum(size, keepdim)
    n = one.numel() // max(1, middle.numel())
    both = gamma(n, one.unit) + gamma(n, DOUBLE)
    magnitude = one.middle.abs().sum(size, keepdim) + radius
    return Enclosed(middle, (radius + both * magnitude + _tiny(one.unit)) * _GUARD, one.unit)


def _product(_: Any, one: Any, two: Any) -> Enclosed:
    unit = _unit(one, two)
    x, y = _enclosed(one, unit), _enclosed(two, unit)
    n = x.shape[-1]
    both = gamma(n, unit) + gamma(n, DOUBLE)
    left, right = x.middle.abs(), y.middle.abs()
    # |x| ry + rx (|y| + ry) + gamma (|x| + rx)(|y| + ry), in two products of matrices, or one where x is exact
    outer = right + y.radius
    radius = left @ (y.radius + both * outer)
    if bool(x.radius.any()):
        radius = radius + (x.radius * (1 + both) * _GUARD) @ outer
    return Enclosed(x.middle @ y.middle, (radius * _GUARD + _tiny(unit)) * _GUARD, unit)


def _addmm(_: Any, bias: Any, one: Any, two: Any, *, beta: float = 1, alpha: float = 1) -> Enclosed:
    return _add(None, _mul(None, bias, beta) if beta != 1 else bias, _product(None, one, two), alpha=alpha)


def _relu(_: Any, one: Enclosed) -> Enclosed:
    # Lipschitz 1, and exactly 0 where all that is enclosed is negative
    radius = torch.where(one.middle < -one.radius, torch.zeros_like(one.radius), one.radius)
    return Enclosed(one.middle.relu(), radius, one.unit)


def _abs(_: Any, one: Enclosed) -> Enclosed:
    return Enclosed(one.middle.abs(), one.radius, one.unit)


def _amax(_: Any, one: Enclosed, dim: Any = (), keepdim: bool = False) -> Enclosed:
    return Enclosed(one.middle.amax(dim, keepdim), one.radius.amax(dim, keepdim), one.unit)


def _exp(_: Any, one: Enclosed) -> Enclosed:
    """By its series on [-1/2, 1/2] and repeated squaring, so that nothing is taken on trust from a library.

    For evaluations at a coarser unit the library's exp is trusted to four units.
    """
    reach = float((one.middle.abs() + one.radius).max()) if one.numel() else 0.0
    halvings = max(0, int(torch.frexp(torch.tensor(2 * reach)).exponent))
    scale = 2.0**-halvings  # exact, but for underflow
    x = Enclosed(one.middle * scale, one.radius * scale + 2.0**-1000, DOUBLE)
    total: Enclosed = _enclosed(torch.ones_like(x.middle), DOUBLE)
    for k in range(_TERMS, 0, -1):
        total = _add(None, _div(None, _mul(None, total, x), float(k)), 1.0)
    total = Enclosed(total.middle, (total.radius + _REST) * _GUARD, DOUBLE)
    for _squaring in range(halvings):
        total = _mul(None, total, total)
    if one.unit == DOUBLE:
        return total
    trusted = 4 * one.unit * (total.middle.abs() + total.radius) + _tiny(one.unit)
    return Enclosed(total.middle, (total.radius + trusted) * _GUARD, one.unit)


def _softmax(_: Any, one: Enclosed, dim: int, half: bool = False) -> Enclosed:
    share: Any = (one - one.amax(dim, keepdim=True)).exp()
    return share / share.sum(dim, keepdim=True)


def _filled(func: Any, one: Enclosed, *_: Any, **__: Any) -> Enclosed:
    """Zeros or ones in the shape of a tensor, exactly."""
    middle = torch.zeros_like(one.middle) if func.overloadpacket == aten.zeros_like else torch.ones_like(one.middle)
    return Enclosed(middle, torch.zeros_like(middle), one.unit)


def _structural(func: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation that moves entries about: both parts go through it alike."""
    unit = _unit(*[y for x in args for y in (x if isinstance(x, (list, tuple)) else [x])])  # pyright: ignore[reportUnknownVariableType]

    def part(value: Any, middle: bool) -> Any:
        if isinstance(value, Enclosed):
            return value.middle if middle else value.radius
        if isinstance(value, (list, tuple)):
            return [part(x, middle) for x in value]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.double() if middle else torch.zeros_like(value, dtype=torch.float64)
        return value

    packet = func.overloadpacket
    call = aten.reshape if packet in (aten.view, aten._unsafe_view) else func
    middles, radii = (call(*[part(x, middle) for x in args], **kwargs) for middle in (True, False))
    if isinstance(middles, Tensor):
        return Enclosed(middles, radii, unit)
    return [Enclosed(x, y, unit) for x, y in zip(middles, radii, strict=True)]


Rule = Callable[..., Any]
RULES: Mapping[Any, Rule] = {
    aten.add: _add,
    aten.sub: _sub,
    aten.neg: _neg,
    aten.mul: _mul,
    aten.pow: _pow,
    aten.square: _pow,
    aten.div: _div,
    aten.sum: _sum,
    aten.mm: _product,
    aten.bmm: _product,
    aten.addmm: _addmm,
    aten.relu: _relu,
    aten.abs: _abs,
    aten.amax: _amax,
    aten.exp: _exp,
    aten._softmax: _softmax,
    aten.zeros_like: _filled,
    aten.ones_like: _filled,
    **dict.fromkeys(
        (
            aten.view, aten._unsafe_view, aten.index, aten.index_select, aten.slice, aten.split, aten.select,
            aten.split_with_sizes, aten.unsqueeze, aten.squeeze, aten.expand, aten.permute, aten.transpose, aten.t,
            aten.clone, aten.detach, aten.alias, aten.cat, aten.stack, aten.lift_fresh,
        ),
        _structural,
    ),
}  # fmt: skip
