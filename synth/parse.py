"""Text to Program, through a whitelist over Python's own syntax tree. Nothing is ever evaluated.

The inverse of ``str(program)``: parsing what a program prints gives the same tree back. What is not a production (a
literal above 3, a power above 2) is built from productions.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable

from synth.constants import integer
from synth.integers import MAX_LITERAL
from synth.language import VARIABLES, Language
from synth.program import Production, Program, Sort

MAX_TEXT = 2000  # characters that a person may type
MAX_PRINTED = 20_000  # characters of a printed program, which is what is read with functions=True
MAX_EXPONENT = 64
MAX_DIGITS = 18
MAX_DEPTH = 200  # deeper trees would exhaust Python's stack when evaluated
MAX_NODES = 10_000

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}
_FUNCTIONS = {"inv": "inverse", "min": "min", "max": "max"}
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.Lt: "<"}
_REFUSALS: dict[type[ast.expr], str] = {
    ast.Call: "calls are not allowed",
    ast.Attribute: "attributes are not allowed",
    ast.Subscript: "indexing is not allowed",
    ast.Lambda: "functions cannot be defined",
    ast.IfExp: "conditions are not allowed",
    ast.Compare: "comparisons are not allowed here",
    ast.BoolOp: "and, or are not allowed",
    ast.JoinedStr: "only integers may be written out",
    ast.Tuple: "one value is expected, not several",
    ast.List: "one value is expected, not several",
}


def parse(text: str, language: Language, *, functions: bool = False) -> Program:
    """The program that the text says, in the language's productions.

    Args:
        text: an expression over the language's variables a..d with integer literals, + - * /, unary + and -,
            parentheses, and ** with a literal exponent of 0 to 64; % where the language has it.
        language: where the productions come from; in a group * composes.
        functions: also allow what else a program prints: inv(x), min(x, y), max(x, y), ``x if test else y`` with a
            test odd(x), x == y or x < y, and the functions of a user's own productions.

    Raises:
        ValueError: one line that names the piece that is not understood.
    """
    return _Reader(text, language, functions).program()


def arity_of(text: str) -> int:
    """The highest variable that occurs, counted from 1: 2 for "b**2". At least 1.

    Raises:
        ValueError: the text is no expression.
    """
    names = {node.id for node in ast.walk(_tree(text, MAX_PRINTED)) if isinstance(node, ast.Name)}
    return max((VARIABLES.index(name) + 1 for name in names if name in set(VARIABLES)), default=1)


def _tree(text: str, longest: int) -> ast.expr:
    if not text.strip():
        raise ValueError("the expression is empty")
    if len(text) > longest:
        raise ValueError(f"the expression has {len(text)} characters, at most {longest} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "0if" and the like: our own errors say what is wrong
            return ast.parse(text.strip(), mode="eval").body
    except (RecursionError, MemoryError):
        raise ValueError(f"{_short(text)}: nested too deeply") from None
    except SyntaxError as error:
        at = f" at column {error.offset}" if error.offset and (error.lineno or 1) == 1 else ""
        raise ValueError(f"{_short(text)}: syntax error{at}: {error.msg}") from None
    except ValueError as error:  # a null byte, a lone surrogate
        raise ValueError(f"{_short(text)}: not an expression: {error}") from None


def _short(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _functions(language: Language, sort: Sort) -> dict[str, str]:
    """The productions that print as f(x, y) with values for arguments, by the name that they print."""
    found: dict[str, str] = {}
    for x in language.of_sort(sort):
        word = x.template.partition("(")[0]
        called = f"{word}({', '.join(f'{{{i}}}' for i in range(x.arity))})"
        if x.arguments and set(x.arguments) == {"value"} and x.template == called and word.isidentifier():
            found[word] = x.name
    return found


class _Reader:
    """One text being read; every method returns the program of a node or raises with the piece that offends."""

    def __init__(self, text: str, language: Language, functions: bool) -> None:
        self.text = text.strip()
        self.language = language
        self.functions = functions
        self.value_functions = {**_FUNCTIONS, **_functions(language, "value")}
        self.condition_functions = {"odd": "odd", **_functions(language, "condition")}

    def program(self) -> Program:
        tree = _tree(self.text, MAX_PRINTED if self.functions else MAX_TEXT)
        try:
            program = self.value(tree, 0)
        except RecursionError:
            raise ValueError(f"{_short(self.text)}: nested too deeply") from None
        if _depth(program) > 2 * MAX_DEPTH:
            raise ValueError(f"{_short(self.text)}: nested too deeply once written out")
        return program

    def value(self, node: ast.expr, depth: int) -> Program:
        if depth > MAX_DEPTH:
            raise ValueError(f"{_short(self.text)}: nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.Name():
                return self.variable(node)
            case ast.Constant():
                return self.literal(node)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.value(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.negative(node, operand, depth)
            case ast.BinOp(op=ast.Pow()):
                return self.power(node, depth)
            case ast.BinOp(op=ast.Mod()) if "%" not in self.language:
                raise self.refuse(node)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self.make(node, _OPERATORS[type(op)], self.value(left, depth + 1), self.value(right, depth + 1))
            case ast.Call() if self.functions:
                return self.call(node, self.value_functions, self.value, depth)
            case ast.IfExp(test=test, body=body, orelse=orelse) if self.functions:
                parts = (self.condition(test, depth + 1), self.value(body, depth + 1), self.value(orelse, depth + 1))
                return self.make(node, "if", *parts)
            case _:
                raise self.refuse(node)

    def condition(self, node: ast.expr, depth: int) -> Program:
        match node:
            case ast.Call():
                return self.call(node, self.condition_functions, self.value, depth)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                parts = (self.value(left, depth + 1), self.value(right, depth + 1))
                return self.make(node, _COMPARISONS[type(op)], *parts)
            case ast.Compare(ops=[_, _, *_]):
                raise self.error(node, "comparisons cannot be chained")
            case _:
                raise self.error(node, "a condition is odd(x), x == y or x < y")

    def variable(self, node: ast.Name) -> Program:
        names = VARIABLES[: self.language.arity]
        if node.id in set(names):
            return self.language.variable(names.index(node.id))
        known = [*names, *(self.value_functions if self.functions else ())]
        near = difflib.get_close_matches(node.id.lower(), known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise self.error(node, f"unknown name; the variables are {', '.join(names)}{hint}")

    def literal(self, node: ast.Constant) -> Program:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(node, "only integers may be written out")
        if value >= 10**MAX_DIGITS:
            raise self.error(node, f"an integer may have at most {MAX_DIGITS} digits")
        if self.language.integers and value > MAX_LITERAL:
            raise self.error(node, f"an integer may be at most {MAX_LITERAL} in language {self.language.name}")
        if "0" not in self.language:
            raise self.error(node, f"the language {self.language.name} has no constants")
        return self.language.make(str(value)) if str(value) in self.language else integer(self.language, value)

    def negative(self, node: ast.expr, operand: ast.expr, depth: int) -> Program:
        inner = self.value(operand, depth + 1)  # also refuses what is no integer
        if isinstance(operand, ast.Constant) and isinstance(operand.value, int) and operand.value > 3:
            return integer(self.language, -operand.value)
        if "neg" in self.language:
            return self.make(node, "neg", inner)
        if "0" not in self.language:
            raise self.error(node, f"the language {self.language.name} has no unary minus")
        return self.make(node, "-", self.language.make("0"), inner)

    def power(self, node: ast.BinOp, depth: int) -> Program:
        exponent = node.right
        if not (isinstance(exponent, ast.Constant) and type(exponent.value) is int):
            raise self.error(node, "an exponent must be an integer literal")
        if exponent.value > MAX_EXPONENT:
            raise self.error(node, f"an exponent may be at most {MAX_EXPONENT}, got {str(exponent.value)[:20]}")
        base = self.value(node.left, depth + 1)
        if exponent.value == 0:
            return self.make(node, "1")
        return self.raised(node, base, exponent.value)

    def raised(self, node: ast.expr, base: Program, exponent: int) -> Program:
        """base**exponent as squares where the language has them and they are not dearer, else as products."""
        if exponent == 1:
            return base
        half = self.raised(node, base, exponent // 2)
        # The plain square is taken even where it is dearer (of one variable): that is what prints as **2.
        if "square" in self.language and (
            exponent == 2 or self.language["square"].bits <= self.language["*"].bits + half.bits
        ):
            even = self.make(node, "square", half)
        else:
            even = self.make(node, "*", half, half)
        return self.make(node, "*", even, base) if exponent % 2 else even

    def call(
        self, node: ast.Call, known: dict[str, str], read: Callable[[ast.expr, int], Program], depth: int
    ) -> Program:
        if not isinstance(node.func, ast.Name):
            raise self.refuse(node)
        name = node.func.id
        if name not in known:
            near = difflib.get_close_matches(name, [*known], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise self.error(node, f"unknown function {name!r}; there are {', '.join(known)}{hint}")
        production = self.production(node, known[name])
        if node.keywords or len(node.args) != production.arity:
            raise self.error(node, f"{name} takes {production.arity} arguments, got {len(node.args)}")
        return self.make(node, production.name, *(read(argument, depth + 1) for argument in node.args))

    def production(self, node: ast.expr, name: str) -> Production:
        if name == "*" and name not in self.language:
            name = "compose"
        if name not in self.language:
            raise self.error(node, f"the language {self.language.name} has no {name!r}")
        return self.language[name]

    def make(self, node: ast.expr, name: str, *arguments: Program) -> Program:
        program = Program(self.production(node, name), arguments)
        if program.size > MAX_NODES:
            raise ValueError(f"{_short(self.text)}: more than {MAX_NODES} nodes once written out")
        return program

    def refuse(self, node: ast.expr) -> ValueError:
        what = _REFUSALS.get(type(node))
        if isinstance(node, ast.BinOp):
            what = "the operators are + - * / **" + (
                " (values are residues already)" if isinstance(node.op, ast.Mod) else ""
            )
        elif isinstance(node, ast.UnaryOp):
            what = "the unary operators are + and -"
        return self.error(node, what or "only arithmetic is allowed")

    def error(self, node: ast.expr, why: str) -> ValueError:
        piece = _short(ast.get_source_segment(self.text, node) or self.text)
        whole = _short(self.text)
        return ValueError(f"{piece}: {why}" if piece == whole else f"{piece} in {whole}: {why}")


def _depth(program: Program) -> int:
    depth, level = 0, [program]
    while level:
        depth, level = depth + 1, [argument for node in level for argument in node.arguments]
    return depth
