"""``gplearn``: symbolic regression by genetic programming, the evolutionary road."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.parameters import Range
from bench.peers import require
from synth.carrier import Carrier, IntArray
from synth.program import Production, Program

Floats = npt.NDArray[np.float64]

POPULATION = 2000
SMALLEST = 500
_PER_SECOND = 400  # of the budget: a generation of so many programs takes about an eighth of it
_MARGIN = 1.5  # generations last longer as programs grow
_MOST_OFTEN = 16  # times that the likeliest leaf or operator is listed
_RATES = {"p_crossover": 0.4, "p_subtree_mutation": 0.4, "p_hoist_mutation": 0.05, "p_point_mutation": 0.1}
_OPTIONS = _RATES | {"init_depth": (2, 4), "tournament_size": 10, "parsimony_coefficient": 0.0, "const_range": None}


def _load() -> None:
    """What a worker imports before the clock starts, where it is installed: scikit-learn takes a second."""
    if find_spec("gplearn") is not None:
        import_module("gplearn.genetic")


@method("gplearn", version=1, family="synth", work={"programs": 16_000}, warm=_load)
def genetic(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    programs: Annotated[int, Range(least=0)] = 0,
    population: Annotated[int, Range(least=0)] = 0,
) -> Generator[Candidate, None, None]:
    """Genetic programming with gplearn: functions closed on the carrier, fitness the share of wrong labels.

    ``programs`` is how many it may breed, 0 for the budget's 16 000; ``population`` how many live at a time, 0 for as
    many as its time allows, 2000 at most. Leaves and operators are drawn in proportion to their probabilities in the
    language, as far as listing them up to 16 times can say it.
    """
    require("gplearn")
    if problem.language.integers:
        raise Inapplicable(f"its numbers are floating-point; {problem.language.name} computes on plain integers")
    if problem.n == 0:
        return  # nothing to be fit for
    size = population or min(POPULATION, max(SMALLEST, int(_PER_SECOND * budget.seconds)))
    most = int(programs or budget.work.get("programs", 16_000))
    breeder = Breeder(problem, size, int(rng.integers(2**31)))
    best: tuple[float, int] | None = None
    bred, longest = 0, 0.0
    while bred < most and budget.seconds_left > _MARGIN * longest:
        since = budget.elapsed
        program, wrong = breeder.next_generation()
        bred += size
        longest = max(longest, budget.elapsed - since)
        if best is None or (wrong, program.bits) < best:
            best = wrong, program.bits
            yield Candidate(program, work={"programs": float(bred)}, notes={"wrong_share": wrong})
        if wrong == 0:
            return


class Breeder:
    """A population and its next generations."""

    def __init__(self, problem: Problem, size: int, seed: int) -> None:
        language = problem.language
        leaves = [x for x in language.of_sort("value") if not x.arguments]
        self.leaves = [Program(x) for x in _as_often(leaves, [x.bits for x in leaves])]
        columns = [x.evaluate(problem.inputs, problem.carrier) for x in self.leaves]
        self.examples, self.labels = np.stack(columns, axis=1).astype(np.float64), problem.outputs.astype(np.float64)
        nodes = [x for production in language.of_sort("value") for x in self._nodes(problem, production)]
        self.nodes = {x.name: x for x in nodes}
        functions: Any = import_module("gplearn.functions")
        made = [functions.make_function(function=x.function, name=x.name, arity=x.arity, wrap=False) for x in nodes]
        fitness: Any = import_module("gplearn.fitness")
        metric = fitness.make_fitness(function=_wrong_share, greater_is_better=False, wrap=False)
        self.regressor: Any = import_module("gplearn.genetic").SymbolicRegressor(
            population_size=size,
            function_set=tuple(_as_often(made, [x.bits for x in nodes])),
            metric=metric,
            warm_start=True,
            low_memory=True,
            random_state=seed,
            n_jobs=1,
            **_OPTIONS,
        )
        self.generations = 0

    def _nodes(self, problem: Problem, production: Production) -> list[_Node]:
        """A production as gplearn's functions: one, or where it asks a condition, one for each kind of condition."""
        if not production.arguments:
            return []
        if "condition" not in production.arguments:
            return [_Node(problem.carrier, production)]
        return [_Node(problem.carrier, production, x) for x in problem.language.of_sort("condition")]

    def next_generation(self) -> tuple[Program, float]:
        """The best of the next generation, and the share of the labels that it gets wrong."""
        self.generations += 1
        self.regressor.set_params(generations=self.generations)
        self.regressor.fit(self.examples, self.labels)
        best = min(self.regressor._programs[-1], key=lambda x: (x.raw_fitness_, len(x.program)))
        return self.read(best.program), float(best.raw_fitness_)

    def read(self, prefix: Sequence[Any]) -> Program:
        """gplearn's prefix list of functions and columns as a program."""
        stack: list[Program] = []
        for item in reversed(prefix):
            if isinstance(item, int):
                stack.append(self.leaves[item])
            else:
                node = self.nodes[item.name]
                arguments = [stack.pop() for _ in range(node.arity)]
                stack.append(node.program(arguments))
        (program,) = stack
        return program


class _Node:
    """A production, with the condition it asks if it asks one, as a function of floating-point arrays.

    Attributes:
        name: "if odd" where it asks odd.
        arity: how many values it takes, those of its condition first.
    """

    def __init__(self, carrier: Carrier, production: Production, condition: Production | None = None) -> None:
        self.carrier, self.production, self.condition = carrier, production, condition
        asked = condition.arity if condition is not None else 0
        self.name = f"{production.name} {condition.name}" if condition is not None else production.name
        self.bits = production.bits + (condition.bits if condition is not None else 0)
        self.arity = asked + production.arguments.count("value")
        self.asked = asked

    @property
    def function(self) -> Callable[..., Floats]:
        """With as many named arguments as it takes: gplearn counts them."""
        by_arity: dict[int, Callable[..., Floats]] = {
            1: lambda x: self(x),
            2: lambda x, y: self(x, y),
            3: lambda x, y, z: self(x, y, z),
            4: lambda x, y, z, u: self(x, y, z, u),
        }
        return by_arity[self.arity]

    def __call__(self, *arguments: Floats) -> Floats:
        # gplearn tries functions out on -1, which no column holds
        values: list[IntArray] = [x.astype(np.int64) % self.carrier.size for x in arguments]
        if self.condition is not None:
            truth = self.condition.semantics(self.carrier, *values[: self.asked])
            result = self.production.semantics(self.carrier, truth, *values[self.asked :])
        else:
            result = self.production.semantics(self.carrier, *values)
        return np.asarray(result, dtype=np.float64)

    def program(self, arguments: Sequence[Program]) -> Program:
        if self.condition is None:
            return Program(self.production, tuple(arguments))
        condition = Program(self.condition, tuple(arguments[: self.asked]))
        return Program(self.production, (condition, *arguments[self.asked :]))


def _wrong_share(labels: Floats, predictions: Floats, weights: Floats) -> float:
    return float(np.average(labels != predictions, weights=weights))


def _as_often(things: Sequence[Any], bits: Sequence[int]) -> list[Any]:
    """Each thing as often as its probability says, the rarest once and none more than 16 times."""
    most = max(bits, default=0)
    return [x for x, b in zip(things, bits, strict=True) for _ in range(min(_MOST_OFTEN, 2 ** (most - b)))]
