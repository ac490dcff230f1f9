"""Will this flight arrive 15 minutes late or more? Predicted two hours before its scheduled departure."""

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
    Value,
)
from pipeline.core.golden import cases
from pipeline.core.kinds import Binary, Floats, Ints
from pipeline.core.usecase import Schedule, Usecase
from pipeline.usecases.flight_delay.recipes import RECIPES, USUAL
from pipeline.usecases.nycflights.facts import FACTS
from pipeline.usecases.nycflights.features import INPUTS, features
from pipeline.usecases.nycflights.tables import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER

#: A delay that nobody was warned of costs five times what a needless warning does.
MISSED, FALSE_ALARM = 5.0, 1.0


def cost_of_decisions(late: Floats, warned: Ints) -> Floats:
    """What each decision cost, once it is known whether the flight was late."""
    return MISSED * (late * (1 - warned)) + FALSE_ALARM * ((1 - late) * warned)


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
    keys=("carrier", "tailnum"),
    gates=(
        Sound(),
        Better(),
        BeatsBaseline(),
        # Measured on January, March and July of 2013: 0.68 to 0.77, and within days' noise of it.
        Floor(0.6, of="auc"),
        EverySlice(margin=0.10),
        # Decisions at the threshold cost the plain rule 70 to 115 per 100 flights.
        Value(cost_of_decisions, margin=15.0),
        # Two weeks of winter, in which days differ like night and day, show no less.
        Calibration(limit=0.25),
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
