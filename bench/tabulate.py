"""A user's function evaluated on every cell, and distrusted: vectorised where it can be, cell by cell where not."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from synth.carrier import Carrier, IntArray
from synth.language import VARIABLES
from synth.program import Program

_PROBES = 32  # cells on which arrays and single ints must say the same
_TWICE = 65_536  # cells that are evaluated a second time
_CHUNK = 1 << 20


def keep(mask: Callable[..., Any] | None, domain: IntArray) -> IntArray:
    """The cells that the mask keeps, in order.

    Raises:
        UserError: the mask is no truth value a cell, differs between two calls, or keeps nothing.
    """
    if mask is None:
        return domain
    kept = _evaluate(mask, domain, "mask")
    if kept.dtype != np.bool_:
        raise UserError(f"the mask must give true or false for each cell, got {kept.dtype}")
    if not kept.any():
        raise UserError("the domain is empty: the mask keeps no cell")
    return domain[kept]


def tabulate(target: Callable[..., Any], domain: IntArray, carrier: Carrier) -> IntArray:
    """The target on the domain, shape (cells,).

    Raises:
        UserError: it raises, gives something that is not an integer of the carrier, or differs between two calls.
    """
    values = _evaluate(target, domain, "target")
    if values.dtype == np.bool_:
        values = values.astype(np.int64)
    if not np.issubdtype(values.dtype, np.integer):
        hint = "; whole division is //" if np.issubdtype(values.dtype, np.floating) else ""
        raise UserError(f"the target must give integers 0 to {carrier.size - 1}, got {values.dtype}{hint}")
    outside = np.flatnonzero((values < 0) | (values >= carrier.size))
    if len(outside):
        cell = int(outside[0])
        raise UserError(f"the target leaves {carrier.name}: at {_cell(domain[cell])} it is {values[cell]}")
    return values.astype(np.int64)


def first_difference(program: Program, carrier: Carrier, domain: IntArray, table: IntArray) -> int | None:
    """Index of the first cell on which the program is not the table; None where it is everywhere."""
    for start in range(0, len(domain), _CHUNK):
        block = slice(start, start + _CHUNK)
        wrong = np.flatnonzero(program.evaluate(domain[block], carrier) != table[block])
        if len(wrong):
            return start + int(wrong[0])
    return None


def _evaluate(function: Callable[..., Any], domain: IntArray, what: str) -> npt.NDArray[Any]:
    """The function on every cell, shape (cells,), checked against itself."""
    probes = _spread(domain, _PROBES)
    together = _on_arrays(function, domain)
    try:
        single = _one_by_one(function, domain[probes], what)
    except _ArraysOnly as error:
        if together is None:
            raise UserError(str(error)) from error.__cause__
        single = together[probes]
    # Python's ints are the truth: arrays of int64 overflow silently, as in a**20 % p.
    if together is not None and np.array_equal(single, together[probes]):
        again, values = _on_arrays, together
    else:
        again, values = partial(_one_by_one, what=what), _one_by_one(function, domain, what)
    if values.dtype.kind not in "biu":  # what it gives is refused anyway, and nan differs from itself
        return values
    some = _spread(domain, _TWICE)
    second = again(function, domain[some])
    if second is None or not np.array_equal(second, values[some]):
        raise UserError(f"the {what} is no function of its inputs: it differs between two calls")
    return values


class _ArraysOnly(Exception):
    """The function does not understand single ints; that is no mistake where it understands arrays."""


def _on_arrays(function: Callable[..., Any], domain: IntArray) -> npt.NDArray[Any] | None:
    """All cells in one call, shape (cells,); None where the function cannot do that."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.asarray(function(*domain.T.copy()))
            return None if values.dtype == object else np.broadcast_to(values, domain.shape[:1])
    except (Exception, SystemExit):  # whatever it is, calling it cell by cell will show it
        return None


def _one_by_one(function: Callable[..., Any], domain: IntArray, what: str) -> npt.NDArray[Any]:
    """One call a cell with Python's ints, shape (cells,)."""
    values: list[bool | int | float] = []
    for row in domain.tolist():
        try:
            value = function(*row)
        except (Exception, SystemExit) as error:
            where = f"the {what} raised {type(error).__name__} at {_cell(row)}{_line_of(function, error)}"
            # A function written for arrays fails on ints in one of these ways.
            kind = _ArraysOnly if isinstance(error, AttributeError | TypeError) else UserError
            raise kind(f"{where}: {error}") from error
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
            value = value.item()
        if not isinstance(value, bool | int | float) or (type(value) is int and not -(2**63) <= value < 2**63):
            raise UserError(f"the {what} must give an integer for each cell, got {value!r:.40} at {_cell(row)}")
        values.append(value)
    return np.array(values)


def _spread(domain: IntArray, count: int) -> IntArray:
    """Indices of about ``count`` cells, the first and the last among them."""
    return np.unique(np.linspace(0, len(domain) - 1, min(count, len(domain))).astype(np.int64))


def _cell(row: Iterable[Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(VARIABLES, row, strict=False))


def _line_of(function: Callable[..., Any], error: BaseException) -> str:
    """Where in the function's own file it went wrong, as " (line 12)"."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [x.lineno for x in traceback.extract_tb(error.__traceback__) if x.filename == file]
    return f" (line {lines[-1]})" if lines else ""
