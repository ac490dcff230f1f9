"""The gates: each is one question about a candidate, and answers it with findings. Declared per use case.

Write a new gate as a frozen dataclass in the module of its family, name it here, and add an example of it to
``GATES`` in ``tests/core/gates/test_gates.py``: the laws then hold it to what every gate promises. The first sentence
of its docstring is printed to users as the question that it asks, a limit in double backquotes by its value. Pages show
its value as a number; as a share or a difference once its name stands in the lists of ``report/verdict/findings.py``.

A gate that reads more than scores needs four places more: a value in ``core/evidence/measurements.py`` with
``to_dict`` and ``from_dict``; a field of :class:`~pipeline.core.evidence.candidate.Evidence` for it, which the gate
names in ``reads``; how it is made, in ``Measurer.parts`` of ``steps/judging/measurements.py``; and its class under that
field in ``MEASUREMENTS`` of ``steps/judging/recorded.py``, so that a verdict can be reached again. A replay has kept
nothing of that: it asks the gates of :attr:`Stage.SCORES` only, and names the others as left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates.better import Better
from pipeline.core.gates.calibration import Calibration
from pipeline.core.gates.latency import Latency
from pipeline.core.gates.leakage import NoLeak, NoServingSkew, NothingShared
from pipeline.core.gates.loss import BeatsBaseline, EverySlice, NotWorse
from pipeline.core.gates.resources import Resources
from pipeline.core.gates.simplicity import SimplerPreferred
from pipeline.core.gates.soundness import Golden, Repeatable
from pipeline.core.gates.stability import Churn, DecisionMix, RightToWrong, ScoreShift, Sound
from pipeline.core.gates.top_of_list import TopOfList
from pipeline.core.gates.what_would_change import what_would_change
from pipeline.core.gates.worth import Floor, Value
from pipeline.core.verdict import Finding, Outcome

__all__ = [
    "BeatsBaseline",
    "Better",
    "Calibration",
    "Churn",
    "DecisionMix",
    "EverySlice",
    "Floor",
    "Gate",
    "Golden",
    "Latency",
    "NoLeak",
    "NoServingSkew",
    "NotWorse",
    "NothingShared",
    "Repeatable",
    "Resources",
    "RightToWrong",
    "ScoreShift",
    "SimplerPreferred",
    "Sound",
    "TopOfList",
    "Value",
    "question",
    "run_gates",
]


class Gate(Protocol):
    """One question. The constructor refuses nonsense; ``judge`` never raises on evidence that is poor or missing.

    A gate that reads more than scores has a class variable ``reads`` beside these, the name of the evidence's field
    that is measured for it (``timing``, ``footprint``, ``repeated``, ``answers``, ``audited``, ``shared``).
    """

    @property
    def name(self) -> str:
        """The question in a few words."""

    @property
    def stage(self) -> Stage:
        """What must be made for it. It is asked of a candidate that passed every earlier stage; an audit, of all."""

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """At least one finding that can stop the candidate; further ones may only inform."""


def run_gates(gates: Sequence[Gate], evidence: Evidence) -> tuple[Finding, ...]:
    """What all gates found, with the gate's name and what would change each answer.

    A gate that found nothing which can stop the candidate did not answer: UNKNOWN.
    """
    findings: list[Finding] = []
    for gate in gates:
        gate_findings = gate.judge(evidence)
        if not any(finding.required for finding in gate_findings):
            gate_findings = (Finding(gate.name, Outcome.UNKNOWN, "the gate gave no answer"), *gate_findings)
        findings += [
            replace(finding, gate=gate.name, change=finding.change or what_would_change(finding, evidence.window))
            for finding in gate_findings
        ]
    return tuple(findings)


def question(gate: Gate) -> str:
    """What a gate asks, in plain words: the first sentence of its docstring with its own limits, else its name."""
    kind = type(gate)
    text = " ".join((kind.__doc__ or "").split())
    if not text or text.startswith(f"{kind.__name__}("):  # what a dataclass says of itself is no question
        return gate.name
    first = re.match(r".*?[.?!](?= |$)", text)

    def spelt(match: re.Match[str]) -> str:
        limit = getattr(gate, match[1], None)
        return f"{limit:g}" if isinstance(limit, int | float) else match[1]

    return re.sub(r"``(\w+)``", spelt, first.group() if first else text)
