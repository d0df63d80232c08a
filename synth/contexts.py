"""Contexts: programs with one hole, and what the hole must yield so that the whole agrees with the examples.

Found from the goal downwards in cost order, as a bank is from the leaves upwards, and like there one context is kept
for each residual behaviour, the cheapest. A behaviour that is in the bank and a residual of a context is a program.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synth.bank import Bank
from synth.carrier import IntArray
from synth.grammar import cheapest
from synth.kernels import Kernels
from synth.lanes import Keys, Words
from synth.program import Program
from synth.ranking import first_of_each
from synth.solvers import Solver, solvers


class Contexts:
    """All contexts of at most ``deepest`` bits whose other arguments are in the bank; the empty one comes first.

    Attributes:
        deepest: bits up to which there is every context (that solvers find).
        words, keys, bits: the residuals, shape (words, count), their keys, and the contexts' own bits, ascending.
        evaluated: how many residuals were computed.
        stride: how many bits a context has at least more than the one around it.
    """

    def __init__(self, bank: Bank, target: Words) -> None:
        self.bank = bank
        kernels = Kernels(bank.carrier, bank.lanes)
        self.solvers: list[Solver] = [
            x for i, rule in enumerate(bank.language.productions) for x in solvers(kernels, i, rule)
        ]
        least = int(cheapest(bank.language)["value"])
        self.stride = min((x.rule.bits + least * (x.rule.arity - 1) for x in self.solvers), default=1)
        self.deepest = 0
        self.evaluated = 0
        self.words = target
        self.keys: Keys = bank.lanes.keys(target)
        self.bits: IntArray = np.zeros(1, dtype=np.int64)
        self._solver: npt.NDArray[np.int16] = np.full(1, -1, dtype=np.int16)
        self._parent: npt.NDArray[np.int32] = np.full(1, -1, dtype=np.int32)
        self._other: npt.NDArray[np.int32] = np.full(1, -1, dtype=np.int32)
        self._offsets: list[int] = [0, 1]

    def __len__(self) -> int:
        return len(self.keys)

    def work(self, high: int) -> float:
        """How many residuals it takes to get to ``high`` bits, as far as the bank has what goes beside the hole."""
        counts = np.diff(np.array(self._offsets, dtype=np.float64))
        shelf = self.bank.shelves["value"].counts()
        pairs = np.convolve(counts, shelf)
        total = 0.0
        for x in self.solvers:
            source = counts if x.rule.arity == 1 else pairs
            total += float(source[max(self.deepest + 1 - x.rule.bits, 0) : max(high + 1 - x.rule.bits, 0)].sum())
        return total

    def extend(self, high: int) -> None:
        """Add the contexts of more than ``deepest`` and at most ``high`` bits; at most ``stride`` bits further."""
        low = self.deepest + 1
        assert high < low + self.stride
        shelf = self.bank.shelves["value"]
        offsets = np.array(shelf.offsets)
        top = len(offsets) - 1
        own = np.array(self._offsets)
        all_words: list[Words] = []
        all_bits: list[IntArray] = []
        all_parents: list[IntArray] = []
        all_others: list[IntArray] = []
        used: list[int] = []
        for number, solver in enumerate(self.solvers):
            bits = solver.rule.bits
            prepare = solver.kernel.prepare
            if solver.rule.arity == 1:
                parent = np.arange(*own[np.clip([low - bits, high - bits + 1], 0, len(own) - 1)].tolist())
                other = np.full(len(parent), -1)
                cost = self.bits[parent] + bits
                result = self.words.take(parent, axis=1)
                answer = solver.kernel(result)
                good = None if solver.check is None else (solver.check(answer) == result).all(axis=0)
            else:
                around = self.bits + bits
                lower, upper = offsets[np.clip(low - around, 0, top)], offsets[np.clip(high - around + 1, 0, top)]
                counts = upper - lower
                parent = np.repeat(np.arange(len(counts)), counts)
                other = np.arange(len(parent)) + (lower - (np.cumsum(counts) - counts))[parent]
                cost = around[parent] + shelf.bits[other]
                fill, fill_other = prepare
                result = self.words if fill is None else fill(self.words)
                beside = shelf.words if fill_other is None else fill_other(shelf.words)
                answer = solver.kernel.apply(result.take(parent, axis=1), beside.take(other, axis=1))
                good = None
                if solver.check is not None:
                    back = solver.check(answer, shelf.words.take(other, axis=1))
                    good = (back == self.words.take(parent, axis=1)).all(axis=0)
            self.evaluated += len(parent)
            if good is not None and not good.all():
                answer, cost, parent, other = answer[:, good], cost[good], parent[good], other[good]
            all_words.append(answer)
            all_bits.append(cost)
            all_parents.append(parent)
            all_others.append(other)
            used.append(number)
        words, bits = np.concatenate(all_words, axis=1), np.concatenate(all_bits)
        keys = self.bank.lanes.keys(words)
        new = first_of_each(self.keys, keys, bits)
        sizes = [len(x) for x in all_bits]
        self.words = np.concatenate([self.words, words.take(new, axis=1)], axis=1)
        self.keys = np.concatenate([self.keys, keys[new]])
        self.bits = np.concatenate([self.bits, bits[new]])
        self._solver = np.concatenate([self._solver, np.repeat(np.array(used, dtype=np.int16), sizes)[new]])
        self._parent = np.concatenate([self._parent, np.concatenate(all_parents)[new].astype(np.int32)])
        self._other = np.concatenate([self._other, np.concatenate(all_others)[new].astype(np.int32)])
        self._offsets = np.searchsorted(self.bits, np.arange(high + 2)).tolist()
        self.deepest = high

    def program(self, index: int, filler: Program) -> Program:
        """The context with a program in its hole."""
        while index > 0:
            solver = self.solvers[self._solver[index]]
            arguments = [filler]
            if solver.rule.arity == 2:
                arguments.insert(1 - solver.hole, self.bank.program(int(self._other[index])))
            filler = Program(solver.rule, tuple(arguments))
            index = int(self._parent[index])
        return filler
