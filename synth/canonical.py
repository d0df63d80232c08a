"""The canonical text of a program, by which equal programs are counted as one."""

from __future__ import annotations

from synth.carrier import Carrier
from synth.normal import Normal, TooLong
from synth.program import Program


def canonical(program: Program, carrier: Carrier) -> str:
    """A text that two programs share only if they are the same function on the carrier, and mostly do if they are.

    Polynomials are expanded, with coefficients in -m/2 .. m/2; exponents are formal (a**p is not a). Quotients become
    sums of monomials over monomials and inverted sums; minima and conditionals have their arguments in normal form and
    in order. Words over a group are freely reduced.
    """
    if carrier.kind == "group":
        return _reduced_word(program)
    if program.on_integers:
        return _structural(program)
    normal = Normal(carrier.size, units=getattr(carrier, "is_prime", False))
    try:
        return normal.text(normal.of(program))
    except TooLong:
        return _structural(program)


def _reduced_word(program: Program) -> str:
    letters: list[tuple[str, int]] = []
    for letter, sign in _letters(program, 1):
        if letters and letters[-1] == (letter, -sign):
            letters.pop()
        else:
            letters.append((letter, sign))
    return "*".join(x if sign == 1 else f"inv({x})" for x, sign in letters) or "identity"


def _letters(program: Program, sign: int) -> list[tuple[str, int]]:
    if program.name == "compose":
        return [x for argument in program.arguments[::sign] for x in _letters(argument, sign)]
    if program.name == "inverse":
        return _letters(program.arguments[0], -sign)
    return [(str(program), sign)]


def _structural(program: Program) -> str:
    """The program's text with the arguments of commutative productions in order."""
    arguments = [_structural(x) for x in program.arguments]
    if program.production.commutes:
        arguments.sort()
    return f"{program.name}({', '.join(arguments)})" if arguments else program.name
