"""By how many minutes will this flight arrive late? Predicted two hours before its scheduled departure."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.gates import (
    BeatsBaseline,
    Better,
    Calibration,
    Churn,
    DecisionMix,
    EverySlice,
    Floor,
    Golden,
    Latency,
    NoLeak,
    NoServingSkew,
    NothingShared,
    Repeatable,
    Resources,
    RightToWrong,
    ScoreShift,
    SimplerPreferred,
    Sound,
    TopOfList,
)
from pipeline.core.golden import cases
from pipeline.core.kinds import Regression
from pipeline.core.usecase import Schedule, Usecase
from pipeline.usecases.flight_minutes.recipes import RECIPES, USUAL
from pipeline.usecases.nycflights.facts import FACTS
from pipeline.usecases.nycflights.features import INPUTS, features
from pipeline.usecases.nycflights.tables import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER

FLIGHT_MINUTES = Usecase(
    name="flight_minutes",
    question="By how many minutes will this flight arrive late?",
    # Minutes late, negative when early. A quarter of an hour is what the airlines themselves count as late.
    kind=Regression(target="minutes", acts_at=15.0, tolerance=15.0),
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
    keys=("carrier", "tailnum"),
    gates=(
        Sound(),
        Better(),
        BeatsBaseline(),
        # Within a quarter of an hour: 5 flights in 10 in a calm fortnight, 3 in a stormy one.
        Floor(0.25, of="accuracy"),
        EverySlice(margin=0.10),
        # Whether an arrival is above its median hangs on the day: a calm one is early throughout, a stormy one late.
        Calibration(limit=0.35),
        SimplerPreferred(margin=0.005),
        # The most that an input of 2013 removes on any day is a quarter: the state of the airport, on days of storms.
        # What would leak, the flight's own delay at departure, removes two fifths.
        NoLeak(one_column=0.33),
        NoServingSkew(),
        Golden(),
        NothingShared(),
        Repeatable(),
        Latency(p95_ratio=1.5, always_fine_ms=50),
        Resources(),
        Churn(limit=0.30),
        RightToWrong(limit=0.15),
        ScoreShift(limit=1.0),
        DecisionMix(limit=0.20),
        # The fifth of the flights that is looked at first; from a plain rule to a model, half of it changes hands.
        TopOfList(limit=0.70, share=0.20),
    ),
    schedule=Schedule(cron="0 6 * * *", timezone="America/New_York"),
    facts=FACTS,
    golden=cases(Path(__file__).with_name("golden.json").read_text(), INPUTS),
)
