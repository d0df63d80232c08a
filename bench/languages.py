"""From what a user types after --language to a language: a built-in's name, or file.py:name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.errors import UserError, nearest
from bench.userfile import explained, file_parts, load_file
from synth.carrier import Carrier
from synth.integers import LIMIT, NOTHING
from synth.language import VARIABLES, Language, default_language, language, language_names
from synth.program import Production, Sort

_ELEMENTS = (4096, 64, 16, 8)  # how many are tried for each argument of a production, by how many arguments it has
_RANGE = "neither below 2^31 nor NOTHING handed on; make it with synth.integers.exact"


@dataclass(frozen=True)
class LoadedLanguage:
    """A language, and all that is needed to find it again.

    Attributes:
        language: for the arity of the task.
        name: what the CSV calls it: the built-in's name, or "file.py:name".
        ref: what finds it from any folder: the name, or "/path/file.py:name".
        source: a hash of a user's file; empty for a built-in.
    """

    language: Language
    name: str
    ref: str
    source: str


def load_language(ref: str | None, carrier: Carrier, arity: int) -> LoadedLanguage:
    """The language that a reference names, for programs of ``arity`` inputs on a carrier; the default one for None.

    A file's name stands for a Language, or for a function of the arity that returns one.

    Raises:
        UserError: one line on what cannot be used.
    """
    if ref is None:
        built_in = default_language(carrier, arity)
        return LoadedLanguage(built_in, built_in.name, built_in.name, "")
    known = language_names(carrier.kind)
    if ref in known:
        return LoadedLanguage(language(ref, arity), ref, ref, "")
    if (parts := file_parts(ref.strip())) is None:
        raise UserError(
            f"--language: expected one of {', '.join(known)}, or file.py:name, got {ref!r}{nearest(ref, known)}"
        )
    file = load_file(parts[0])
    found = file[parts[1]]
    name = f"{file.path.name}:{parts[1]}"
    with explained(file.path):
        made = _called(found, parts[1], arity)
        _check(made, parts[1], carrier, arity)
    return LoadedLanguage(made, name, f"{file.path}:{parts[1]}", file.source_hash)


def _called(found: object, name: str, arity: int) -> Language:
    if inspect.isfunction(found):
        found = found(arity)
    if not isinstance(found, Language):
        raise UserError(f"{name}: expected a Language or a function of the arity, got {type(found).__name__}")
    return found


def _check(made: Language, name: str, carrier: Carrier, arity: int) -> None:
    """That programs of the language can be built, evaluated and read on the carrier."""
    if made.arity != arity:
        raise UserError(f"{name}: its programs have {made.arity} inputs, the task has {arity}; make it of the arity")
    if not made.suits(carrier):
        raise UserError(f"{name}: it computes on {made.kind}, the task on {carrier.name}")
    if not any(x.sort == "value" and not x.arguments for x in made.productions):
        raise UserError(f"{name}: it has no variable and no constant, so that there is no program")
    for x in made.productions:
        try:
            _check_form(x, arity)
            _check_values(x, made, carrier)
        except UserError as error:
            raise UserError(f"{name}: production {x.name!r}: {error}") from error
        except Exception as error:
            raise UserError(f"{name}: production {x.name!r}: {type(error).__name__}: {error}") from error


def _check_form(x: Production, arity: int) -> None:
    if type(x.bits) is not int or x.bits < 1:
        raise UserError(f"expected a whole number of bits, at least 1, got {x.bits!r}")
    if x.sort not in ("value", "condition") or any(s not in ("value", "condition") for s in x.arguments):
        raise UserError("its sort and its arguments' must be 'value' or 'condition'")
    if x.arity >= len(_ELEMENTS):
        raise UserError(f"it may have at most {len(_ELEMENTS) - 1} arguments, got {x.arity}")
    if x.commutes and (x.arity != 2 or x.arguments[0] != x.arguments[1]):
        raise UserError("only a production with two arguments of one sort commutes")
    if x.variable is not None and not (x.variable < arity and x.name == VARIABLES[x.variable]):
        raise UserError(f"the variables are {', '.join(VARIABLES[:arity])}, numbered from 0")
    if len(x.argument_precedence) != x.arity or len(x.inverses) not in (0, x.arity):
        raise UserError(f"argument_precedence and inverses need one entry an argument, of which it has {x.arity}")
    shown = x.template.format(*(f"<{i}>" for i in range(x.arity)))
    if any(f"<{i}>" not in shown for i in range(x.arity)):
        raise UserError(f"its template {x.template!r} does not show each of its {x.arity} arguments")


def _check_values(x: Production, made: Language, carrier: Carrier) -> None:
    """That it has right values on a sample: the carrier's elements, and what the built-in of its name gives."""
    if x.variable is not None:
        return
    arguments = [z.ravel() for z in np.meshgrid(*(_sample(s, made, carrier, x.arity) for s in x.arguments))]
    shape = arguments[0].shape if arguments else ()
    result = np.asarray(x.semantics(carrier, *arguments))
    if result.shape not in ((), shape):
        raise UserError(f"for arguments of shape {shape} its values have the shape {result.shape}")
    wanted = np.bool_ if x.sort == "condition" else np.integer
    if not np.issubdtype(result.dtype, wanted):
        raise UserError(f"expected {'bool' if x.sort == 'condition' else 'integer'} values, got {result.dtype}")
    outside = _outside(result, arguments, made, carrier) if x.sort == "value" else np.zeros(1, dtype=np.bool_)
    if outside.any():
        at = ", ".join(str(z[int(outside.argmax())]) for z in arguments)
        value = result.ravel()[int(outside.argmax())]
        raise UserError(f"at ({at}) it is {value}, which is {_RANGE if made.integers else f'not in {carrier.name}'}")
    if x.commutes and (np.asarray(x.semantics(carrier, *arguments[::-1])) != result).any():
        raise UserError("it does not commute")
    if not x.arguments and not (x.name.isdecimal() and int(result) == _constant(int(x.name), made, carrier)):
        raise UserError(f"a constant is named by its value in digits, here {int(result)}")
    if (known := _built_in(made.kind).get(x.name)) is not None and x.arguments:
        if known.arguments != x.arguments or known.sort != x.sort:
            raise UserError("the built-in production of that name has other arguments; name it otherwise")
        if (np.asarray(known.semantics(carrier, *arguments)) != result).any():
            raise UserError("the built-in production of that name means something else; name it otherwise")


def _outside(result: Any, arguments: list[Any], made: Language, carrier: Carrier) -> Any:
    """Which values no program may have; on integers also those that should be NOTHING."""
    if not made.integers:
        return np.atleast_1d((result < 0) | (result >= carrier.size))
    nothing = [x == NOTHING for x in arguments]
    wrong = (abs(result) >= LIMIT) & (result != NOTHING)
    return np.atleast_1d(np.logical_or.reduce([wrong, *(x & (result != NOTHING) for x in nothing)]))


def _sample(sort: Sort, made: Language, carrier: Carrier, arity: int) -> Any:
    if sort == "condition":
        return np.array([False, True])
    count = min(carrier.size, _ELEMENTS[arity])
    elements = np.unique(np.linspace(0, carrier.size - 1, count).astype(np.int64))
    return np.append(elements, [-1, -LIMIT + 1, LIMIT - 1, NOTHING]) if made.integers else elements


def _constant(value: int, made: Language, carrier: Carrier) -> int:
    return value if made.integers else value % carrier.size


@cache
def _built_in(kind: str) -> dict[str, Production]:
    name = {"residues": "full", "integers": "int", "group": "group"}[kind]
    return {x.name: x for x in language(name, len(VARIABLES)).productions}
