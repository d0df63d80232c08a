"""How far an answer is from a law's, in sympy: what the cosines of a circuit are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nets.dual import Dual
from synth.laws import Law
from synth.products import ProductLaw

if TYPE_CHECKING:
    from synth.program import Program


def offsets_of(law: Law | ProductLaw, program: Program | None) -> list[Any]:
    """f(a) + g(b) - h(c) for each cyclic factor of the law's classes, any integer that is right modulo its order.

    Args:
        program: the law in closed form; without it f, g, .. stay names of tables.

    ``dlog`` is the discrete logarithm to the carrier's least primitive root; of a product law ``dlog7`` is one modulo
    its factor 7, and modulo 8, whose units have two cyclic factors, ``dlog8_1`` and ``dlog8_2`` are the exponents of
    -1 and 5 (``synth.factored.cycles``).
    """
    import sympy

    from synth.symbolic import to_sympy

    inputs = sympy.symbols(" ".join("abcd"[: law.arity]), seq=True)
    answer = sympy.Symbol("c" if law.arity < 3 else "y")
    said: Any = to_sympy(program) if program is not None else None

    def named(suffix: str) -> list[Any]:
        return [sympy.Function(name + suffix)(x) for name, x in zip("fguv", inputs, strict=False)]

    if not isinstance(law, ProductLaw):
        log: Any = sympy.Function("dlog") if law.basis == "dlog" else lambda x: x  # pyright: ignore
        if not np.array_equal(law.decode, Law.of(law.carrier, law.basis, law.tables).decode):
            said, log = None, sympy.Function("h")
        return [(sum(named("")) if said is None else log(said)) - log(answer)]
    found: list[Any] = []
    turns = Dual(law).turns
    for which, (i, _, _) in enumerate(turns):
        q, factors = law.parts[i].modulus, [j for j, (part, _, _) in enumerate(turns) if part == i]
        if law.parts[i].operation == "+":
            found.append((sum(named(str(q))) + law.offset if said is None else said) - answer)
            continue
        of: Any = sympy.Function(f"dlog{q}" + (f"_{factors.index(which) + 1}" if len(factors) > 1 else ""))
        total: Any = sum(of(x) for x in named(str(q))) if said is None else of(said - law.offset)
        found.append(total - of(answer - law.offset))
    return found
