"""Reading a law at the checkpoints of a training run, and what then stands in the network's or the decoder's row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.method import Candidate, Faithfulness, Problem
from synth.carrier import Group, IntArray, Residues
from synth.program import Program
from synth.twopart import least_right

if TYPE_CHECKING:
    from nets.groups import GroupReading
    from nets.law import Reading
    from nets.models import Network
    from nets.train import Checkpoint

AGREES = 0.99  # on held-out cells, for a row to show a program as its network's
RETRY = 1.12  # a law is looked for again after this many times the steps
RETRY_RELABELLED = 4  # and with its outputs in any order, which takes six times as long, after so many times
CALM = 0.02  # a network that agrees with a law changes no more of its answers than this from checkpoint to checkpoint
MOST_DESCRIBED = 1 << 21  # logits of the examples: a two-part code evaluates the network some 15 times on them
CONFIRM = 1.25  # a decoder goes on for this many times the steps after its law was accepted
MOST_FLOPS = 2e10  # of one evaluation of all cells, for a certificate to be tried: some ten seconds


class Reader:
    """Reads laws at the checkpoints of one run, and keeps account of what that costs."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.seconds = 0.0
        self.work: dict[str, float] = {"steps": 0.0, "flops": 0.0}
        self.held_out = problem.domain[problem.held_out]
        self.readable = len(self.held_out) > 0 and (
            problem.arity > 1 if isinstance(problem.carrier, Residues) else problem.arity == 2
        )
        self.reading: Reading | GroupReading | None = None
        self.accepted_at = 0
        self._program: tuple[Any, Program | None] | None = None
        self._tried = 0
        self._tried_relabelled = 0

    def show(self, point: Checkpoint) -> Candidate:
        """The network's own answer, with the law's program where the two agree."""
        since = time.perf_counter()
        noise, n = self.problem.noise, self.problem.n
        fitted = point.accuracy >= least_right(n, noise)
        agreement = 0.0
        if point.final or (fitted and point.changed <= CALM and point.step >= RETRY * self._tried):
            self._read(point)
            agreement = self.reading.agreement if self.reading else 0.0
        elif self.reading is not None and self.reading.accepted:
            agreement = self._agreement(point)
        shown = self.reading is not None and self.reading.accepted and agreement >= AGREES
        ties = self._ties(point, agreement) if shown and point.final else None
        self.seconds += time.perf_counter() - since
        network, domain = point.network, self.problem.domain

        def examine() -> dict[str, str | float]:
            return self._certificate(network) | self._circuit(network)

        return self._candidate(
            point, shown, point.final, ties, lambda: network.predict(domain), network.logits,
            examine if shown and point.final else None,
        )  # fmt: skip

    def decode(self, point: Checkpoint) -> tuple[Candidate, bool]:
        """The law's answer once it is accepted, the network's until then; and whether that is the end.

        Reading laws is how a decoder comes to its answer, and so part of its time to solve; only what ties the law to
        the network is apart.
        """
        ended = point.final or bool(self.accepted_at and point.step >= CONFIRM * self.accepted_at + 10)
        fresh = False
        if ended or (point.step >= 10 and point.step >= RETRY * self._tried):
            before = self.reading
            self._read(point)
            if self.reading is not None and self.reading.accepted:
                fresh = not self.accepted_at
                self.accepted_at = self.accepted_at or point.step
            elif self.accepted_at:
                self.reading = before
        shown = bool(self.accepted_at)
        since = time.perf_counter()
        ties = self._ties(point, self._agreement(point)) if shown and (fresh or ended) else None
        self.seconds += time.perf_counter() - since
        network, domain, carrier = point.network, self.problem.domain, self.problem.carrier
        reading = self.reading
        program = self._program_of(reading) if shown and reading is not None else None

        def predict() -> IntArray:
            answers = network.predict(domain)
            if not shown or reading is None:
                return answers
            said = reading.law.predict(domain)
            if program is not None and (said < 0).any():  # elements that no example has: the closed form knows them
                said = np.where(said < 0, program.evaluate(domain, carrier), said)
            return np.where(said < 0, answers, said)

        distribution = None if shown else network.logits
        return self._candidate(point, shown, ended, ties, predict, distribution), ended

    def _candidate(
        self,
        point: Checkpoint,
        shown: bool,
        ended: bool,
        ties: _Tied | None,
        predict: Any,
        distribution: Any,
        examine: Callable[[], dict[str, str | float]] | None = None,
    ) -> Candidate:
        reading = self.reading
        program = self._program_of(reading) if shown and reading is not None else None
        self.work = {"steps": float(point.step), "flops": point.flops}
        notes: dict[str, str | float] = {"train_accuracy": point.accuracy, "train_loss": point.loss}
        notes["attempts"] = float(point.attempt + 1)
        if ended:
            notes["cause"] = point.cause or "law accepted"
        if reading is not None:
            notes |= {"law_fit": reading.fit} | self._evidence(reading)
        elif ended and not self.readable:
            notes["law"] = "not looked for: " + self._why_not()
        if self.accepted_at:
            notes["law_accepted_at"] = float(self.accepted_at)
        text = reading.law.text if shown and program is None and reading is not None else None
        return Candidate(
            program=program,
            predict=predict,
            distribution=distribution,
            work=self.work,
            form="tables" if text is not None else "law" if shown else "program",
            text=text,
            bits=reading.law.bits if text is not None and reading is not None else None,
            extraction_seconds=self.seconds,
            faithfulness=ties.faithfulness if ties else None,
            weights=point.network.state() if ended else None,
            describe=self._describe(point) if ended else None,
            examine=examine,
            notes={**notes, **(ties.notes if ties else {})},
        )

    def _certificate(self, network: Network) -> dict[str, str | float]:
        """Whether it is proved that the network says what its law says, on every cell: see nets/certificate.py."""
        from nets.certificate import SINGLE, certify

        assert self.reading is not None
        domain = self.problem.domain
        answers = self.reading.law.predict(domain)
        if (answers < 0).any():
            return {"certificate": "none: the law leaves cells open"}
        if len(domain) * network.architecture.flops() > MOST_FLOPS:
            return {"certificate": f"not tried on {len(domain)} cells"}
        found = certify(network, domain, answers)
        if not found.holds:
            where = f" at {found.failure}" if found.failure else ""
            return {"certificate": f"none: {found.cause}{where}", "margin_over_bound": found.ratio}
        single = certify(network, domain, answers, SINGLE)
        return {
            "certificate": "holds",
            "margin_over_bound": found.ratio,
            "margin_over_bound_float32": single.ratio,
            **self._for_less(network),
        }

    def _for_less(self, network: Network) -> dict[str, str | float]:
        """Whether that can be proved for less than evaluating every input: see nets/frugal.py."""
        from nets.frugal import certify_frugally

        law = self.reading.law.cyclic if self.reading is not None else None
        if law is None:
            return {"frugal": "none: no bound for laws of other groups than one cyclic one"}
        found = certify_frugally(network, law, self.problem.domain)
        if found.cause:
            return {"frugal": f"none: {found.cause}"}
        if not found.holds:
            return {"frugal": "none"}
        boast = "holds" if found.saves > 1 else "none: costs more than evaluating every input"
        return {"frugal": boast, "frugal_saves": found.saves}

    def _describe(self, point: Checkpoint) -> Callable[[], float] | None:
        """The network's two-part code in the basis of its law; None without one, or with too many logits.

        Without a law there is no basis in which weights are few: no code was ever found to be shorter than the labels.
        """
        problem, reading = self.problem, self.reading
        law = reading.law.cyclic if reading is not None and reading.accepted else None
        if law is None or problem.n * problem.carrier.size > MOST_DESCRIBED:
            return None
        basis = law.basis

        def bits() -> float:
            from nets.description import two_part_code

            return two_part_code(point.network, problem.inputs, problem.outputs, basis, thorough=False).bits

        return bits

    def _circuit(self, network: Network) -> dict[str, str | float]:
        """The network's logits on held-out cells as cosines of its law's combination: see nets/circuit.py."""
        from nets.circuit import read_circuit
        from nets.law import held_out_sample

        law = self.reading.law.abelian if self.reading is not None else None
        if law is None or self.reading is None:
            return {"circuit": "none: no cosines of a law of no abelian group"}
        cells = held_out_sample(self.held_out, self.problem.carrier.size)
        try:
            found = read_circuit(law, cells, network.logits(cells))
        except ValueError as error:
            return {"circuit": f"none: {error}"}
        return {
            "circuit": str(found.circuit.expression(self._program_of(self.reading))),
            "circuit_claimed": "yes" if found.claimed else "no: " + " and ".join(found.failed),
            "circuit_claimed_from": float(found.claimed_from),
            "circuit_kept": found.kept,
            "circuit_removed": found.removed,
            **{
                f"{name}_{measure}": value
                for name, claim in (("circuit", found.claim), ("delta", found.delta), ("peaks", found.peaks))
                for measure, value in (
                    ("explained", claim.explained),
                    ("interaction", claim.interaction),
                    ("worst", claim.worst),
                    ("rest", claim.rest),
                )
            },
        }

    def _read(self, point: Checkpoint) -> None:
        from nets.law import read_law

        problem, carrier = self.problem, self.problem.carrier
        if not self.readable:
            return
        self._tried = point.step
        if isinstance(carrier, Group):
            from nets.groups import read_group_law

            self.reading = read_group_law(
                point.network, carrier, self.held_out, problem.inputs, problem.outputs, problem.noise
            )
        else:
            relabelled = point.final or point.step >= RETRY_RELABELLED * max(10, self._tried_relabelled)
            self._tried_relabelled = point.step if relabelled else self._tried_relabelled
            self.reading = read_law(
                point.network, carrier, self.held_out, problem.inputs, problem.outputs, problem.noise,
                relabelled=relabelled,
            )  # fmt: skip
        if self.reading is not None and self.reading.accepted:
            self._program_of(self.reading)  # its time is extraction

    def _evidence(self, reading: Reading | GroupReading) -> dict[str, str | float]:
        """What speaks for a reading, as notes: which basis factorises, or which irreps carry the logits."""
        if isinstance(self.problem.carrier, Group):
            from nets.groups import GroupReading

            assert isinstance(reading, GroupReading)
            irreps: dict[str, str | float] = {f"irrep_{name}": share for name, share in reading.shares.items()}
            return irreps | {"central": reading.central}
        from nets.law import Reading

        assert isinstance(reading, Reading)
        shares: dict[str, str | float] = {f"rank_one_{basis}": share for basis, share in reading.shares.items()}
        return {"basis": reading.law.basis + (", relabelled" if reading.law.relabelled else "")} | shares

    def _program_of(self, reading: Reading | GroupReading) -> Program | None:
        from nets.groups import GroupReading, recognised
        from synth.closed_forms import law_program

        if isinstance(reading, GroupReading):
            if self._program is None or not reading.law.same(self._program[0]):
                self._program = reading.law, recognised(reading.law, self.problem.language)
            return self._program[1]
        law = reading.law.normalised()
        if self._program is None or self._program[0] != law:
            self._program = law, law_program(reading.law, self.problem.language, self.problem.domain)
        return self._program[1]

    def _agreement(self, point: Checkpoint) -> float:
        from nets.law import held_out_sample

        assert self.reading is not None
        cells = held_out_sample(self.held_out, self.problem.carrier.size)
        return float((self.reading.law.predict(cells) == point.network.predict(cells)).mean())

    def _ties(self, point: Checkpoint, agreement: float) -> _Tied:
        from nets.faithful import ties
        from nets.groups import GroupReading
        from nets.law import held_out_sample

        assert self.reading is not None
        domain = self.problem.domain
        if isinstance(self.reading, GroupReading):
            return self._group_ties(point, self.reading, agreement)
        found = ties(point.network, self.reading.law, self.held_out, self.rng)
        evidence = Faithfulness(
            agreement=agreement,
            variance_explained=found.variance_explained,
            network=point.network.predict(domain),
            keep_only=found.keep_only.predict(domain),
            remove_only=found.remove_only.predict(domain),
            remove_random=found.remove_random.predict(domain) if found.remove_random else None,
        )
        notes: dict[str, str | float] = {
            "key_frequencies": " ".join(found.names),
            "key_energy": found.key_energy,
        }
        if found.remove_random is not None:
            notes["random_energy"] = found.random_energy
        if found.disturbed:  # by the law's answers: a method knows no others
            cells = held_out_sample(self.held_out, self.problem.carrier.size)
            wanted = self.reading.law.predict(cells)
            notes["disturbed_accuracy"] = float(np.mean([x.predict(cells) == wanted for x in found.disturbed]))
        return _Tied(evidence, notes)

    def _group_ties(self, point: Checkpoint, reading: GroupReading, agreement: float) -> _Tied:
        from nets.groups import filtered_by_irreps, key_irreps

        keys, domain = key_irreps(reading), self.problem.domain
        names = list(reading.shares)
        only, without = (filtered_by_irreps(point.network, reading.law, keys, keep=keep) for keep in (True, False))
        evidence = Faithfulness(
            agreement=agreement,
            variance_explained=reading.explained,
            network=point.network.predict(domain),
            keep_only=only.predict(domain),
            remove_only=without.predict(domain),
        )
        return _Tied(evidence, {"key_irreps": " ".join(names[i] for i in keys)})

    def _why_not(self) -> str:
        if not isinstance(self.problem.carrier, Residues) and self.problem.arity != 2:
            return "a law of a group has two inputs"
        return "no held-out cells" if not len(self.held_out) else "a function of one input"


@dataclass(frozen=True, eq=False)
class _Tied:
    faithfulness: Faithfulness
    notes: Mapping[str, str | float]
