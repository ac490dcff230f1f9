"""Will this flight arrive 15 minutes late or more? Predicted two hours before its scheduled departure."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.gates import (
    BeatsBaseline,
    Better,
    Churn,
    DecisionMix,
    EverySlice,
    Golden,
    Latency,
    NoLeak,
    NothingShared,
    Repeatable,
    Resources,
    RightToWrong,
    SameAlone,
    ScoreShift,
    Sound,
)
from pipeline.core.golden import cases
from pipeline.core.kinds import Binary
from pipeline.core.usecase import Schedule, Usecase
from pipeline.usecases.flight_delay.recipes import RECIPES, USUAL
from pipeline.usecases.nycflights.facts import FACTS
from pipeline.usecases.nycflights.features import INPUTS, features
from pipeline.usecases.nycflights.tables import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER

FLIGHT_DELAY = Usecase(
    name="flight_delay",
    question="Will this flight arrive 15 minutes late or more?",
    # One flight in five is late: at 0.3 the user is warned about as many flights as there are late ones.
    kind=Binary(target="late", threshold=0.3),
    unit=("carrier", "flight", "origin"),
    feeds=(FLIGHTS, WEATHER),
    references=(PLANES, AIRPORTS, AIRLINES),
    features=features,
    inputs=INPUTS,
    # Habits look back two weeks; a flight more than a day late is known two days after its own.
    history=16,
    recipes=RECIPES,
    baseline=USUAL,
    block=("origin", "hour"),
    slices=("origin", "carrier", "known_plane"),
    gates=(
        Sound(),
        Better(),
        BeatsBaseline(),
        EverySlice(margin=0.10),
        # The most that an input of 2013 removes on any day is a quarter: the state of the airport, on days of storms.
        # What would leak, the flight's own delay at departure, removes two fifths.
        NoLeak(one_column=0.33),
        SameAlone(),
        Golden(),
        NothingShared(),
        Repeatable(),
        Latency(p95_ratio=1.5, always_fine_ms=50),
        Resources(),
        Churn(limit=0.30),
        RightToWrong(limit=0.15),
        ScoreShift(limit=1.0),
        DecisionMix(limit=0.20),
    ),
    schedule=Schedule(cron="0 6 * * *", timezone="America/New_York"),
    facts=FACTS,
    golden=cases(Path(__file__).with_name("golden.json").read_text(), INPUTS),
)
