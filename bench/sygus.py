"""The child process of ``cvc5``: one SyGuS problem in as JSON on stdin, one answer out as JSON on stdout.

A process of its own, because cvc5's ``tlimit`` does not stop a synthesis: here the kernel does, by RLIMIT_CPU. It
imports nothing of this project, so that it is up in some hundredths of a second.

Residues are integers. Sums, differences and products agree modulo m whether reduced or not, so only the examples and
what looks at a value (inverses, minima, conditions) reduce. The grammar has the language's productions, no others.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

INPUTS = "abcd"
RING = frozenset({"+", "-", "*"})
CONDITIONS = frozenset({"odd", "==", "<"})


class _Problem:
    """A problem in cvc5's terms, and the way back.

    Args:
        asked: ``modulus``; ``arity``; ``inputs`` and ``outputs``, the examples; ``inverses``, the table of 1/x, with 0
            where there is none; ``constants``, name -> value; ``operators``, names; ``rlimit``, 0 for none.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        cvc5: Any = import_module("cvc5")  # untyped, and not installed everywhere
        self.kind: Any = cvc5.Kind
        self.terms: Any = cvc5.TermManager()
        self.solver: Any = cvc5.Solver(self.terms)
        self.asked = asked
        self.solver.setOption("sygus", "true")
        if not RING.issuperset(asked["operators"]):  # its own choice does not find a/b in 30 s, this one in 0.2 s
            self.solver.setOption("sygus-enum", "fast")
        if asked["rlimit"]:
            self.solver.setOption("rlimit", str(asked["rlimit"]))
        self.solver.setLogic("NIA")
        self.integers, self.booleans = self.terms.getIntegerSort(), self.terms.getBooleanSort()
        self.modulus = self.integer(asked["modulus"])
        self.defined: dict[str, str] = {}  # a defined function's name in cvc5 -> the production's
        self.inputs = [self.terms.mkVar(self.integers, INPUTS[i]) for i in range(asked["arity"])]
        self.wanted = self.solver.synthFun("f", self.inputs, self.integers, self.grammar())
        for point, label in zip(asked["inputs"], asked["outputs"], strict=True):
            said = self.term(self.kind.APPLY_UF, self.wanted, *map(self.integer, point))
            self.solver.addSygusConstraint(self.equal(self.reduced(said), self.integer(label)))

    def grammar(self) -> Any:
        kind, operators = self.kind, self.asked["operators"]
        value, condition = self.terms.mkVar(self.integers, "V"), self.terms.mkVar(self.booleans, "C")
        values = [*self.inputs, *(self.integer(x) for x in self.asked["constants"].values())]
        values += [self.term(k, value, value) for name, k in self.arithmetic().items() if name in operators]
        values += [self.term(kind.NEG, value)] if "neg" in operators else []
        values += [self.term(kind.ITE, condition, value, value)] if "if" in operators else []
        conditions: list[Any] = []
        for name, (arity, body) in self.bodies().items():
            if name in operators:
                sort = self.booleans if name in CONDITIONS else self.integers
                parameters = [self.terms.mkVar(self.integers, "xy"[i]) for i in range(arity)]
                function = self.solver.defineFun(f"op{len(self.defined)}", parameters, sort, body(*parameters))
                self.defined[str(function)] = name
                rules = conditions if name in CONDITIONS else values
                rules.append(self.term(kind.APPLY_UF, function, *[value] * arity))
        grammar = self.solver.mkGrammar(self.inputs, [value, condition] if conditions else [value])
        grammar.addRules(value, values)
        if conditions:
            grammar.addRules(condition, conditions)
        return grammar

    def arithmetic(self) -> dict[str, Any]:
        return {"+": self.kind.ADD, "-": self.kind.SUB, "*": self.kind.MULT}

    def bodies(self) -> dict[str, tuple[int, Callable[..., Any]]]:
        """The productions that cvc5 has no operator for, as functions of their arguments."""
        kind, mod = self.kind, self.reduced

        def smaller(x: Any, y: Any) -> Any:
            return self.term(kind.LT, mod(x), mod(y))

        def inverse(x: Any) -> Any:
            return self.entry(mod(x), 0, self.asked["modulus"])

        def odd(x: Any) -> Any:
            return self.equal(self.term(kind.INTS_MODULUS, mod(x), self.integer(2)), self.integer(1))

        return {
            "square": (1, lambda x: self.term(kind.MULT, x, x)),
            "inverse": (1, inverse),
            "/": (2, lambda x, y: self.term(kind.MULT, x, inverse(y))),
            "min": (2, lambda x, y: self.term(kind.ITE, smaller(x, y), mod(x), mod(y))),
            "max": (2, lambda x, y: self.term(kind.ITE, smaller(x, y), mod(y), mod(x))),
            "odd": (1, odd),
            "==": (2, lambda x, y: self.equal(mod(x), mod(y))),
            "<": (2, smaller),
        }

    def entry(self, index: Any, low: int, high: int) -> Any:
        """The table of inverses from ``low`` up to ``high`` as a tree of decisions."""
        if high - low == 1:
            return self.integer(self.asked["inverses"][low])
        middle = (low + high) // 2
        below = self.term(self.kind.LT, index, self.integer(middle))
        return self.term(self.kind.ITE, below, self.entry(index, low, middle), self.entry(index, middle, high))

    def term(self, kind: Any, *arguments: Any) -> Any:
        return self.terms.mkTerm(kind, *arguments)

    def integer(self, value: int) -> Any:
        return self.terms.mkInteger(value)

    def equal(self, x: Any, y: Any) -> Any:
        return self.term(self.kind.EQUAL, x, y)

    def reduced(self, x: Any) -> Any:
        return self.term(self.kind.INTS_MODULUS, x, self.modulus)

    def solve(self) -> dict[str, Any]:
        answer = self.solver.checkSynth()
        if answer.hasSolution():
            _, body = self.solver.getSynthSolution(self.wanted)
            return {"status": "found", "program": self.read(body)}
        return {"status": "none" if answer.hasNoSolution() else "unknown"}

    def read(self, term: Any) -> list[Any]:
        """A term of the grammar as [production, argument, ...]."""
        kind = term.getKind()
        if kind == self.kind.VARIABLE:
            return [term.getSymbol()]
        if kind == self.kind.CONST_INTEGER:
            value = int(term.getIntegerValue())
            return [next(name for name, known in self.asked["constants"].items() if known == value)]
        children = list(term)
        if kind == self.kind.APPLY_UF:
            return [self.defined[str(children[0])], *map(self.read, children[1:])]
        names = {k: name for name, k in self.arithmetic().items()} | {self.kind.NEG: "neg", self.kind.ITE: "if"}
        return [names[kind], *map(self.read, children)]


def main() -> None:
    """Answer one problem, within its ``cpu_seconds`` and ``memory_mib``, and say how many it took, imports apart."""
    asked = json.load(sys.stdin)
    for which, most in ((resource.RLIMIT_CPU, asked["cpu_seconds"]), (resource.RLIMIT_AS, asked["memory_mib"] << 20)):
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        import_module("cvc5")
        since = time.process_time()
        answer = _Problem(asked).solve()
        answer["cpu_seconds"] = time.process_time() - since
    except MemoryError:
        answer = {"status": "memory"}
    except Exception as error:  # the caller says it in one line
        answer = {"status": "error", "reason": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
