"""Bank: every behaviour that a language's programs have on given points, in cost order, each with its cheapest program.

Bottom-up enumeration with observational equivalence (Udupa et al. 2013; Albarghouthi et al. 2013): of programs that
agree on all points only the cheapest is kept and built upon. Small levels are built several at a time, as the costs
allow; large ones one at a time, block by block in cache. How many candidates a level has is known beforehand, and so a
level that does not fit the memory or the work is not begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from synth.candidates import Block, Candidates
from synth.carrier import Carrier, IntArray
from synth.grammar import SORTS, arities, dearest, limits, stride, used
from synth.lanes import Keys, Lanes, Words
from synth.language import Language
from synth.language import language as named_language
from synth.program import Production, Program, Sort
from synth.ranking import Directory, first_of_each
from synth.shelf import Shelf
from synth.tiles import BLOCK, build_levels

if TYPE_CHECKING:
    from synth.device import Sweeper

MEMORY_MIB = 1024
_SMALL = 1 << 17  # candidates that are built in one go, by gathering


class Bank:
    """All distinct behaviours on ``inputs``, by index in cost order.

    Of programs with one behaviour and equal bits the first built counts: productions in the language's order, then an
    order of arguments that depends on the language, carrier, inputs and limits alone. Where the points need several
    words, behaviours are told apart by hashes of 61 bits; see ``Lanes.keys``.

    Attributes:
        language, carrier, inputs, sort: what it was built for; ``sort`` is the nonterminal that indices range over.
        deepest: every program of at most so many bits has its behaviour here.
        candidates: how many programs were evaluated (duplicates included).
        stopped: why it ended before ``max_bits``: "memory", "work", or "closed" where no longer program has a behaviour
            that is not here; None while it grows and when it got to ``max_bits``.
    """

    def __init__(
        self,
        language: Language,
        carrier: Carrier,
        inputs: IntArray,
        *,
        max_bits: int,
        memory_mib: int = MEMORY_MIB,
        max_programs: int | None = None,
        sort: Sort = "value",
        hold_all: bool = False,
        device: str | None = None,
    ) -> None:
        """An empty bank; ``grow`` fills it. See ``build``.

        With ``hold_all`` the last levels keep their values too, so that ``outputs`` is quick for all.
        """
        inputs = np.asarray(inputs, dtype=np.int64)
        if inputs.ndim != 2 or len(inputs) < 1 or inputs.shape[1] != language.arity:
            raise ValueError(f"Bank: inputs must have shape (points, {language.arity}), got {inputs.shape}")
        if inputs.min() < 0 or inputs.max() >= carrier.size:
            raise ValueError(f"Bank: inputs must be elements 0..{carrier.size - 1} of {carrier.name}")
        if language.kind != carrier.kind:
            raise ValueError(f"Bank: language {language.name} computes on {language.kind}, got {carrier.name}")
        self.language, self.carrier, self.inputs = language, carrier, inputs
        self.sort: Sort = sort
        self.max_bits, self.memory_mib, self.max_programs = max_bits, memory_mib, max_programs
        self.lanes = Lanes(len(inputs), carrier.size)
        self.deepest = 0
        self.candidates = 0
        self.stopped: str | None = None
        most = max((x.arity for x in language.productions), default=0)
        self.shelves: dict[Sort, Shelf] = {x: Shelf(self.lanes, most) for x in SORTS}
        self._sources = Candidates(language, carrier, inputs, self.lanes, self.shelves)
        self._sweeper: Sweeper | None = None
        if device is not None:
            from synth.device import Sweeper  # torch, only where it is asked for

            self._sweeper = Sweeper(self._sources, device)
        self._stride = stride(language)
        self._limits = limits(language, sort, max_bits)
        self._used = dict.fromkeys(SORTS, np.inf) if hold_all else used(language, sort, max_bits)
        self._programs: dict[tuple[Sort, int], Program] = {}
        self._constants = self._pointless_conditions()
        self._most_conditions = 2.0 ** min(len(inputs), 1000) - len(self._constants)

    # Building

    @classmethod
    def build(
        cls,
        language: Language,
        carrier: Carrier,
        inputs: IntArray,
        *,
        max_bits: int,
        memory_mib: int = MEMORY_MIB,
        max_programs: int | None = None,
        sort: Sort = "value",
        device: str | None = None,
    ) -> Bank:
        """All distinct behaviours of programs of at most ``max_bits`` bits.

        Args:
            inputs: shape (points, arity), at least one point; repeated points do no harm.
            memory_mib: what the bank may need at any time. It stops after the deepest complete level that fits.
            max_programs: how many candidates it may evaluate; it stops after the deepest complete level, too.
            sort: "value", or "condition" for behaviours of conditions (0 or 1).
            device: the torch device that builds large levels, such as "cuda"; None for numpy. The bank is the same.

        Raises:
            ValueError: inputs of another shape or outside the carrier, a language for another kind of carrier, or no
                such device.
        """
        bank = cls(
            language,
            carrier,
            inputs,
            max_bits=max_bits,
            memory_mib=memory_mib,
            max_programs=max_programs,
            sort=sort,
            device=device,
        )
        for _ in bank.grow():
            pass
        return bank

    def grow(self) -> Iterator[int]:
        """Build level by level, yielding ``deepest`` after each and also within long ones, where it stays."""
        while self.deepest < self.max_bits and self.stopped is None:
            low = self.deepest + 1
            if low > self._last_possible():
                self.deepest, self.stopped = self.max_bits, "closed"
                return
            high = min(low + self._stride - 1, self.max_bits)
            while high > low and not self._affordable(high, small=True):
                high -= 1
            if high == low and low > max(self._used.values()) and self._sweeper is None:
                high = min(low + (1 << self.lanes.tag_bits) - 2, self.max_bits)  # nothing is built upon the last levels
                if not self._affordable(high, small=False):
                    high = low
            if not self._affordable(high, small=False):
                self.stopped = "work"
                return
            for sort in SORTS:
                yield from self._extend(sort, low, high)
                if self.stopped is not None:
                    break
            if self.shelves[self.sort].closed < high:
                return
            self.deepest = high
            yield high

    def _pointless_conditions(self) -> Keys:
        """Keys of conditions not worth keeping: constant ones, where they only choose between two arguments."""
        full = named_language("full", 1)["if"]
        takers = [x for x in self.language.productions if "condition" in x.arguments]
        if not takers or self.sort == "condition" or any(x.semantics is not full.semantics for x in takers):
            return np.empty(0, dtype=np.uint64)
        constants = np.repeat(np.array([[0], [1]], dtype=np.int64), len(self.inputs), axis=1)
        return self.lanes.keys(self.lanes.pack(constants))

    def _last_possible(self) -> float:
        """The bits beyond which no program can be built of what is there."""
        values, conditions = (
            shelf.bits_of(len(shelf) - 1) if len(shelf) else -np.inf for shelf in (self.shelves[x] for x in SORTS)
        )
        return max(
            (
                bits + (i and i * values) + (j and j * conditions)  # 0 * inf is no number
                for (i, j), bits in dearest(self.language).items()
            ),
            default=0,
        )

    def _work(self, sort: Sort, low: int, high: int) -> float:
        """How many candidates of a sort have ``low`` to ``high`` bits, as far as their arguments are there."""
        total = 0.0
        for x in self.language.of_sort(sort):
            counts = np.ones(1)
            for argument in x.arguments:
                counts = np.convolve(counts, self.shelves[argument].counts())
            part = float(counts[max(low - x.bits, 0) : max(high - x.bits + 1, 0)].sum())
            total += part / 2 if x.commutes else part
        return total

    def _most_work(self) -> float:
        """More than the candidates that are possible with what is there; quick to say."""
        values, conditions = (float(len(self.shelves[x])) for x in SORTS)
        return sum(n * values**i * conditions**j for (i, j), n in arities(self.language).items())

    def _affordable(self, high: int, *, small: bool) -> bool:
        low = self.deepest + 1
        most = self._most_work()
        if most <= _SMALL and (self.max_programs is None or self.candidates + 2 * most <= self.max_programs):
            return True
        work = self._work("value", low, min(high, int(min(self._limits["value"], 1 << 30))))
        if small and work > _SMALL:
            return False
        if self._limits["condition"] >= low:
            work += self._work("condition", low, high)
        return self.max_programs is None or self.candidates + work <= self.max_programs

    def _extend(self, sort: Sort, low: int, high: int) -> Iterator[int]:
        """Close the levels ``low`` to ``high`` of one sort."""
        shelf = self.shelves[sort]
        most = int(max(min(self._limits[sort], high), low - 1))
        full = sort == "condition" and len(shelf) >= self._most_conditions
        if most < low or full:
            for _ in range(low, high + 1):
                shelf.extend_keys(0, np.empty(0, dtype=np.uint64))
            return
        few = self._most_work() <= _SMALL or self._work(sort, low, most) <= _SMALL
        if few and not shelf.levels:
            self._gather(sort, low, most)
        else:
            if most > low and low > self._used[sort]:
                yield from self._sweep_keys(sort, low, most)
            for bits in range(shelf.closed + 1, most + 1):
                yield from self._sweep_keys(sort, bits, bits)
                if shelf.closed < bits:
                    self.stopped = "memory"
                    return
                if not self.lanes.exact and bits <= self._used[sort]:
                    self._hold_words(sort, bits)
                    if not shelf.has_words(bits):
                        self.stopped = "memory"
                        return
        for _ in range(most, high):
            shelf.extend_keys(0, np.empty(0, dtype=np.uint64))

    def _memory(self) -> int:
        used = max(self._used.values())
        arguments = int(used) if self.deepest >= used else self.deepest + 1 - self._stride
        own = self._sources.bytes_at(arguments) + sum(x.bytes for x in self.shelves.values())
        return own + (self._sweeper.bytes if self._sweeper is not None else 0)

    def _fits(self, more: float) -> bool:
        return self._memory() + more <= self.memory_mib * 2**20

    def _gather(self, sort: Sort, low: int, high: int) -> None:
        """Build a few small levels at once, with what made each behaviour."""
        shelf = self.shelves[sort]
        plan, words = self._sources.gather(sort, low, high)
        self.candidates += len(plan.bits)
        keys = self.lanes.keys(words)
        known = np.concatenate([shelf.keys, self._constants]) if sort == "condition" else shelf.keys
        new = first_of_each(known, keys, plan.bits)
        made = plan.origin.take(new), plan.arguments.take(new, axis=1)
        shelf.extend(words.take(new, axis=1), keys.take(new), plan.bits.take(new), *made, high)

    def _sweep_keys(self, sort: Sort, low: int, high: int) -> Iterator[int]:
        """Build levels as their sorted keys alone; of several none is an argument of another."""
        shelf = self.shelves[sort]
        if self._sweeper is not None:
            levels = self._sweeper.build_level(sort, low, lambda: self._sorted(sort), self._fits)
        else:
            shelf.known = self._sorted(sort)
            keys = (
                (bits, self.lanes.keys(words))
                for bits in range(low, high + 1)
                for _, words in self._sources.blocks(sort, bits)
            )
            expected = int(self._work(sort, low, high)) + BLOCK
            levels = build_levels(shelf, low, high, keys, expected, self._fits)
        for done in levels:
            self.candidates += done
            yield self.deepest

    def _sorted(self, sort: Sort) -> Keys:
        known = self.shelves[sort].sort_known()
        if sort == "condition" and len(self._constants):
            known = np.union1d(known, self._constants)
        return known

    def _hold_words(self, sort: Sort, bits: int) -> None:
        """Keep the words of a level's behaviours, which their keys do not tell: made once more for the new ones."""
        shelf = self.shelves[sort]
        new = shelf.levels.get(bits)
        if new is None or not self._fits(8.0 * (self.lanes.words + 1) * len(new)):
            return
        if self._sweeper is not None:
            shelf.level_words[bits] = self._sweeper.words(sort, bits)
            return
        directory, result = Directory(new), np.empty((self.lanes.words, len(new)), dtype=np.uint64)
        for _, words in self._sources.blocks(sort, bits):
            candidates, places = directory.find(self.lanes.keys(words))
            for row, word in zip(result, words, strict=True):
                row[places] = word.take(candidates)
        shelf.level_words[bits] = result

    # Reading

    def __len__(self) -> int:
        """How many behaviours there are."""
        return self.shelves[self.sort].offsets[min(self.deepest + 1, self.shelves[self.sort].closed + 1)]

    def bits(self, index: int) -> int:
        """The bits of the cheapest program with that behaviour."""
        return self.shelves[self.sort].bits_of(self._checked(index))

    def find(self, outputs: IntArray) -> IntArray:
        """The indices of behaviours, shape (q,), -1 where there is none.

        Args:
            outputs: shape (q, points), elements of the carrier (0 or 1 for conditions).
        """
        outputs = np.asarray(outputs, dtype=np.int64)
        if outputs.ndim != 2 or outputs.shape[1] != len(self.inputs):
            raise ValueError(f"Bank.find: outputs must have shape (q, {len(self.inputs)}), got {outputs.shape}")
        if outputs.size and (outputs.min() < 0 or outputs.max() >= self.carrier.size):
            raise ValueError(f"Bank.find: outputs must be elements 0..{self.carrier.size - 1} of {self.carrier.name}")
        words = self.lanes.pack(outputs)
        found = self.shelves[self.sort].find(words, self.lanes.keys(words))
        # Within a level, values may be complete while its conditions still grow: they count from ``deepest`` on.
        return np.where(found < len(self), found, -1)

    def outputs(self, indices: IntArray) -> IntArray:
        """The behaviours themselves, shape (q, points), by index."""
        indices = np.asarray(indices, dtype=np.int64)
        shelf = self.shelves[self.sort]
        if not all(shelf.has_words(bits) for bits in shelf.levels):
            return np.stack([self.program(int(i)).evaluate(self.inputs, self.carrier) for i in indices])
        return self.lanes.unpack(shelf.words_at(indices))

    def program(self, index: int) -> Program:
        """The cheapest program with the behaviour of that index.

        A level that is held by its keys alone is built once more to find it.
        """
        return self._program(self.sort, self._checked(index))

    def condition(self, index: int) -> Program:
        """The cheapest condition with the behaviour of that index among the bank's conditions."""
        return self._program("condition", index)

    def candidates_of(self, production: Production, bits: int) -> Iterator[tuple[Block, Words]]:
        """The words of all programs of exactly so many bits with that production at the root, block by block."""
        return self._sources.blocks(production.sort, bits, production)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"Bank: behaviours are numbered 0..{len(self) - 1}, got {index}")
        return index

    def _program(self, sort: Sort, index: int) -> Program:
        found = self._programs.get((sort, index))
        if found is None:
            position, arguments = self._made(sort, index)
            rule = self.language.productions[position]
            parts = tuple(self._program(s, i) for s, i in zip(rule.arguments, arguments, strict=True))
            found = self._programs[sort, index] = Program(rule, parts)
        return found

    def _made(self, sort: Sort, index: int) -> tuple[int, list[int]]:
        """The production and the arguments' indices of a behaviour's cheapest program."""
        shelf = self.shelves[sort]
        if index < shelf.held:
            position = int(shelf.origin[index])
            arity = self.language.productions[position].arity
            return position, shelf.arguments[:arity, index].tolist()
        bits = shelf.bits_of(index)
        wanted = shelf.levels[bits][index - shelf.offsets[bits]]
        for block, words in self._sources.blocks(sort, bits):
            hits = np.flatnonzero(self.lanes.keys(words) == wanted)
            if len(hits):
                return block.position, [int(x[0]) for x in block.arguments(hits[:1])]
        raise AssertionError(f"Bank: no program for behaviour {index}")
