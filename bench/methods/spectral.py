"""``spectral``: the law read straight from the raw examples, the rival of every law read from a network."""

from __future__ import annotations

from collections.abc import Generator
from itertools import product
from math import log2

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Predict, Problem, method
from synth.carrier import IntArray, Residues
from synth.chance import evenly, fits
from synth.closed_forms import law_program, repaired
from synth.factored import offset_of, read_factors
from synth.laws import Law
from synth.products import ProductLaw
from synth.program import Program
from synth.spectral import read_labels
from synth.twopart import least_right


@method("spectral", version=2, family="synth")
def spectral(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """Phase correlation on the raw examples: tables f, g with phi(c) = f(a) + g(b), and their closed forms.

    Modulo a composite m, where that fits nothing, a sum or a product for each of its factors.
    """
    carrier = problem.carrier
    if not isinstance(carrier, Residues):
        raise Inapplicable(f"phase correlation needs characters of residues; {carrier.name} is not Z_m")
    work = {"examples": float(problem.n)}
    if problem.n == 0:
        return
    laws: list[Law | ProductLaw] = [*read_labels(carrier, problem.inputs, problem.outputs)]
    if problem.noise > 0:
        mended = [repaired(law, problem.language) for law in laws if isinstance(law, Law)]
        laws = [law for law in mended if law is not None] + laws
        laws.sort(key=lambda law: -law.fit(problem.inputs, problem.outputs))
    if laws[0].fit(problem.inputs, problem.outputs) < least_right(problem.n, problem.noise):
        offsets = dict.fromkeys((0, offset_of(carrier, problem.outputs)))
        for offset, reduced in product(offsets, (True, False)):
            factored = read_factors(carrier, problem.inputs, problem.outputs, offset, reduced=reduced)
            laws += [factored] if factored is not None else []
        laws.sort(key=lambda law: -law.fit(problem.inputs, problem.outputs))
    found: list[Candidate] = []
    for law in laws:
        fit = law.fit(problem.inputs, problem.outputs)
        predict = _predictor(law, problem)
        search = fits(fit, problem.n, carrier.size, problem.noise, law.freedom)
        program = law_program(law, problem.language, problem.domain, search=search)
        # Examples that nothing ties to the law's rows test the closed forms instead.
        if program is not None and _fits(program, problem):
            found.append(Candidate(program, work=work, form="law", notes={"basis": law.basis, "fit": fit}))
        elif search and evenly(law.predict(problem.inputs) == problem.outputs, problem.inputs, problem.noise):
            notes: dict[str, str | float] = {"basis": law.basis, "fit": fit}
            found.append(Candidate(None, predict, work, "tables", law.text, law.bits, notes=notes))
    if found:
        programs = [x for x in found if x.program is not None]
        yield min(programs, key=lambda x: x.program.bits if x.program else 0) if programs else found[0]
    else:
        fit = laws[0].fit(problem.inputs, problem.outputs)
        guess: dict[str, str | float] = {"refused": "no law fits the examples", "fit": fit}
        yield Candidate(None, _predictor(laws[0], problem), work, "tables", notes=guess)


def _fits(program: Program, problem: Problem) -> bool:
    right = program.evaluate(problem.inputs, problem.carrier) == problem.outputs
    free = program.bits / log2(problem.carrier.size)
    enough = fits(float(right.mean()), problem.n, problem.carrier.size, problem.noise, free)
    return enough and evenly(right, problem.inputs, problem.noise)


def _predictor(law: Law | ProductLaw, problem: Problem) -> Predict:
    common = int(np.bincount(problem.outputs).argmax())

    def predict() -> IntArray:
        answers = law.predict(problem.domain)
        return np.where(answers < 0, common, answers)

    return predict
