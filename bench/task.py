"""Tasks: a function on a domain into a carrier, tabulated and checked when it is made; and how one is declared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bench.errors import UserError
from bench.parameters import Parameter, bind, parameters_of
from bench.tabulate import first_difference, keep, tabulate
from synth.carrier import Carrier, IntArray, Residues, is_prime
from synth.language import DEFAULTS, MAX_ARITY, language
from synth.parse import parse
from synth.program import Program

if TYPE_CHECKING:
    from synth.verify import Target

MAX_CELLS = 20_000_000
Note: TypeAlias = str | float


@dataclass(frozen=True, eq=False, init=False)
class Task:
    """A function on a domain, with its whole table.

    Attributes:
        carrier: the values.
        arity: number of inputs, 1 to 4.
        domain: shape (cells, arity), in lexicographic order.
        table: shape (cells,), the target on the domain.
        formula: the same as text, or None.
        formula_program: the formula in the fullest language of the carrier's kind; agrees with the table.
        notes: facts about the task, by name.
        name, version: of the family that built it; part of the fingerprint.
    """

    carrier: Carrier
    arity: int
    domain: IntArray = field(repr=False)
    table: IntArray = field(repr=False)
    formula: str | None
    formula_program: Program | None
    notes: Mapping[str, Note]
    name: str
    version: int

    def __init__(
        self,
        *,
        target: Callable[..., Any],
        modulus: int | None = None,
        carrier: Carrier | None = None,
        arity: int = 2,
        formula: str | None = None,
        mask: Callable[..., Any] | None = None,
        notes: Mapping[str, Note] | None = None,
    ) -> None:
        """Tabulate the target and check it.

        Args:
            target: takes ``arity`` inputs, int64 arrays of one shape or single ints, and returns integers in
                0 .. size-1. One that takes only single ints serves as well, more slowly.
            modulus: computes on residues modulo this, at least 2. Either this or ``carrier``.
            carrier: computes on this; elements are 0 .. size-1.
            arity: number of inputs, 1 to 4.
            formula: the target as an expression, where there is one; makes proofs by identity possible.
            mask: takes what the target takes and says which cells are in the domain; all where None.
            notes: facts to keep with every record.

        Raises:
            UserError: one line on what is wrong with it.
        """
        carrier = _carrier(modulus, carrier)
        if type(arity) is not int or not 1 <= arity <= MAX_ARITY:
            raise UserError(f"the arity must be 1 to {MAX_ARITY}, got {arity!r}")
        _require_small(carrier, arity)
        if not callable(target):
            raise UserError(f"the target must be a function, got {target!r}")
        domain = keep(mask, cells(carrier.size, arity))
        table = tabulate(target, domain, carrier)
        program = None if formula is None else _formula(formula, carrier, domain, table)
        for array in (domain, table):
            array.setflags(write=False)
        values: dict[str, Any] = {
            "carrier": carrier, "arity": arity, "domain": domain, "table": table, "formula": formula,
            "formula_program": program, "notes": MappingProxyType(dict(notes or {})), "name": "", "version": 1,
        }  # fmt: skip
        self.__dict__.update(values)

    def named(self, name: str, version: int) -> Task:
        """The same task under a name and a version."""
        copy = object.__new__(Task)
        copy.__dict__.update({k: v for k, v in self.__dict__.items() if k != "fingerprint"}, name=name, version=version)
        return copy

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, over name, version, carrier, domain and table: what a stored run belongs to."""
        head = f"{self.name}\n{self.version}\n{self.carrier.name}\n{self.carrier.size}\n{self.arity}\n"
        digest = hashlib.sha256(head.encode())
        if not isinstance(self.carrier, Residues):
            digest.update(self.carrier.table.astype("<i8").tobytes())
        digest.update(self.domain.astype("<i8").tobytes())
        digest.update(self.table.astype("<i8").tobytes())
        return digest.hexdigest()

    def target(self) -> Target:
        """What a candidate is verified against."""
        from synth.verify import Target

        return Target(self.carrier, self.domain, self.table, self.formula_program)


def cells(size: int, arity: int) -> IntArray:
    """All cells of carrier^arity, shape (size**arity, arity), in lexicographic order."""
    return np.stack([x.ravel() for x in np.indices((size,) * arity, dtype=np.int64)], axis=1)


def inverses(p: int, arity: int = 2) -> IntArray:
    """The inverses modulo a prime, shape (p,), 0 at 0: for tasks that divide.

    Raises:
        UserError: p is no prime, or a task of that arity would be too large.
    """
    carrier = _carrier(p, None)
    _require_small(carrier, arity)
    if not is_prime(p):
        below = next((str(x) for x in range(p, 1, -1) if is_prime(x)), None)
        above = next(str(x) for x in range(p, 2 * p) if is_prime(x))
        near = " and ".join(x for x in (below, above) if x)
        raise UserError(f"it divides, so p must be a prime, got {p}; the nearest are {near}")
    return Residues(p).inverses


def program_target(program: Program, carrier: Carrier) -> Callable[..., IntArray]:
    """A task's target that says what a program does."""

    def target(*inputs: IntArray) -> IntArray:
        columns = np.broadcast_arrays(*inputs)
        return program.evaluate(np.stack(columns, axis=-1).reshape(-1, len(inputs)), carrier).reshape(columns[0].shape)

    return target


def _require_small(carrier: Carrier, arity: int) -> None:
    if carrier.size**arity > MAX_CELLS:
        raise UserError(f"a domain of {carrier.size}^{arity} cells is too large; at most {MAX_CELLS} are tabulated")


def _carrier(modulus: int | None, carrier: Carrier | None) -> Carrier:
    if (modulus is None) == (carrier is None):
        raise UserError("a task needs a modulus or a carrier, and not both")
    if carrier is not None:
        return carrier
    if isinstance(modulus, bool) or not isinstance(modulus, int | np.integer):
        raise UserError(f"the modulus must be an integer, got {modulus!r}")
    if modulus < 2:
        raise UserError(f"the modulus must be at least 2, got {modulus}")
    return Residues(int(modulus))


def _formula(text: str, carrier: Carrier, domain: IntArray, table: IntArray) -> Program:
    try:
        program = parse(text, language(DEFAULTS[carrier.kind], domain.shape[1]), functions=True)
    except ValueError as error:
        raise UserError(f"formula: {error}") from None
    if (cell := first_difference(program, carrier, domain, table)) is not None:
        at = ", ".join(map(str, domain[cell].tolist()))
        value = program.evaluate(domain[cell : cell + 1], carrier)[0]
        raise UserError(f"the formula {text!r} is not the target: at ({at}) it is {value}, the target {table[cell]}")
    return program


@dataclass(frozen=True)
class TaskFamily:
    """A declared task: its function's parameters make the tasks.

    Attributes:
        name, version: what the CSV says of it.
        parameters: its flags, from the function's signature.
        about: one line, from the docstring.
        function: takes the parameters and returns a Task.
    """

    name: str
    version: int
    parameters: tuple[Parameter, ...]
    about: str
    function: Callable[..., Task] = field(repr=False)

    def build(self, **given: object) -> Task:
        """The task with these parameters, the defaults filled in.

        Raises:
            UserError: an unknown parameter, a wrong value, or a task that does not pass its checks.
        """
        values = bind(self.name, self.parameters, given)
        try:
            task: Any = self.function(**values)
        except ValueError as error:
            raise UserError(f"{self.name}: {error}") from error
        if not isinstance(task, Task):
            raise UserError(f"{self.name}: expected its function to return a Task, got {type(task).__name__}")
        return task.named(self.name, self.version)

    def __call__(self, **given: object) -> Task:
        return self.build(**given)


def task(*, version: int) -> Callable[[Callable[..., Task]], TaskFamily]:
    """Declare a task. The function's parameters become flags, its docstring's first line the description.

    Example:
        >>> @task(version=1)
        ... def modadd(p: int = 59):
        ...     \"\"\"Sum of two residues.\"\"\"
        ...     return Task(modulus=p, arity=2, target=lambda a, b: (a + b) % p, formula="a + b")
        >>> modadd(p=7).table.shape
        (49,)
    """

    def declare(function: Callable[..., Task]) -> TaskFamily:
        about = (function.__doc__ or "").strip().partition("\n")[0]
        return TaskFamily(function.__name__, version, parameters_of(function), about, function)

    return declare
