"""Plain integers: the productions of the language ``int``, in which a modulus is a literal that has to be found.

Values are exact and below 2^31 in magnitude. Where a program would leave that range, there or on the way, it has no
value: NOTHING, which every production hands on and which no label equals.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from synth.carrier import Carrier
from synth.program import Production, Semantics

LIMIT = 1 << 31  # the product of two values below it fits in 64 bits
NOTHING = -LIMIT
MAX_LITERAL = LIMIT - 1
SMALL_LITERALS = 4  # 0..3 cost what they cost in every language
_SMALL_BITS = 5
_ESCAPE_BITS = 2


def delta_bits(n: int) -> int:
    """Elias's universal delta code (1975) of an integer n >= 1:
    floor(log2 n) + 2 floor(log2(1 + floor(log2 n))) + 1 bits."""
    length = n.bit_length() - 1
    return length + 2 * ((length + 1).bit_length() - 1) + 1


def literal_bits(value: int) -> int:
    """What an integer literal costs: 0..3 the 5 bits of every language's constants, others 2 + delta(value + 1).

    The codes of 0..3 stay unused, so that all literals' probabilities sum to .203; with the variables (1/2 at most),
    + - * (3/16) and % (1/32) that is less than 1.
    """
    if value < SMALL_LITERALS:
        return _SMALL_BITS
    return _ESCAPE_BITS + delta_bits(value + 1)


def literals_of(bits: int) -> range:
    """The literals above 3 that cost exactly so many bits."""
    found = range(0)
    for length in range((SMALL_LITERALS + 1).bit_length() - 1, LIMIT.bit_length()):
        low, high = max(1 << length, SMALL_LITERALS + 1) - 1, min((2 << length) - 1, LIMIT)  # values, high excluded
        if literal_bits(low) == bits:
            found = range(found.start, high) if found else range(low, high)
        elif found:
            break
    return found


@cache
def literal_mass() -> float:
    """The sum of the probabilities of the literals above 3."""
    longest = literal_bits(MAX_LITERAL)
    return sum(len(literals_of(bits)) * 2.0**-bits for bits in range(1, longest + 1))


def is_literal(name: str) -> bool:
    """Whether a production's name is that of an integer literal: its decimal text."""
    if not (name.isascii() and name.isdecimal() and len(name) <= len(str(MAX_LITERAL))):
        return False
    return str(int(name)) == name and int(name) <= MAX_LITERAL


@cache
def literal(value: int) -> Production:
    """The production of an integer literal, 0 to 2^31 - 1."""

    def build() -> Any:
        import sympy  # late: it costs 0.3 s

        return sympy.Integer(value)

    def semantics(_: Carrier) -> np.int64:
        return np.int64(value)

    return Production(str(value), literal_bits(value), semantics, str(value), symbolic=build, integers=True)


def exact(operation: Callable[..., Any]) -> Semantics:
    """A production's semantics: NOTHING where an argument is, or where the operation's result leaves the range.

    Args:
        operation: on int64 arrays of one shape; it may not overflow for arguments of at most 2^31 in magnitude.
    """

    def semantics(_: Carrier, *arguments: Any) -> Any:
        result = operation(*arguments)
        nothing = abs(result) >= LIMIT
        for x in arguments:
            nothing = nothing | (x == NOTHING)
        return np.where(nothing, NOTHING, result)

    return semantics


def _remainder(x: Any, y: Any) -> Any:
    # Total: x where y <= 0. Floored like Python's, so that it is 0 .. y-1 for every x.
    return np.where(y > 0, np.remainder(x, np.where(y > 0, y, 1)), x)


def _sympy_remainder(x: Any, y: Any) -> Any:
    import sympy

    return x if y.is_nonpositive else sympy.Mod(x, y)


remainder = exact(_remainder)  # by which a search knows the production
INTEGER_RULES = (
    Production("+", 4, exact(lambda x, y: x + y), "{0} + {1}", ("value", "value"), 10, (10, 11), commutes=True,
               inverses=(None, None), symbolic=lambda x, y: x + y, integers=True),
    Production("-", 4, exact(lambda x, y: x - y), "{0} - {1}", ("value", "value"), 10, (10, 11),
               inverses=(None, None), symbolic=lambda x, y: x - y, integers=True),
    Production("*", 4, exact(lambda x, y: x * y), "{0}*{1}", ("value", "value"), 20, (20, 21), commutes=True,
               inverses=(None, None), symbolic=lambda x, y: x * y, integers=True),
    Production("%", 5, remainder, "{0} % {1}", ("value", "value"), 20, (20, 21),
               inverses=(None, None), symbolic=_sympy_remainder, integers=True),
)  # fmt: skip
