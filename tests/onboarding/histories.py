"""Histories for tests: small, with something planted that must be found and something that must be learnt."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FIRST = date(2026, 1, 1)


def customers(days: int = 30, rows: int = 60, seed: int = 1) -> pd.DataFrame:
    """Who leaves: many calls do it, on the basic plan. ``offer`` is a leak, ``email`` a name, ``channel`` constant."""
    rng = np.random.default_rng(seed)
    known = pd.DataFrame(
        {
            "customer_id": [f"C{n:04d}" for n in range(4 * rows)],
            "email": [f"u{n}@example.org" for n in range(4 * rows)],
            "plan": rng.choice(["basic", "plus"], 4 * rows),
            "code": [f"{n % 7:03d}" for n in range(4 * rows)],
        }
    )
    parts = []
    for n in range(days):
        some = known.sample(rows, random_state=n)
        calls = rng.poisson(2.0, rows)
        usage = np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(2.0, 10.0, rows))
        chance = 1 / (1 + np.exp(3.0 - 1.6 * calls - 1.5 * (some["plan"] == "basic")))
        left = rng.random(rows) < chance
        parts.append(
            some.assign(
                day=FIRST + timedelta(n),
                calls=calls,
                usage=usage,
                channel="web",
                offer=np.where(left, "sent", None),
                churned=np.where(left, "yes", "no"),
            )
        )
    return pd.concat(parts, ignore_index=True)


def trips(days: int = 30, rows: int = 60, seed: int = 2) -> pd.DataFrame:
    """How long a trip takes: two minutes a kilometre, longer in zone A. The last two days have no labels yet."""
    rng = np.random.default_rng(seed)
    parts = []
    for n in range(days):
        at = (
            pd.Timestamp(FIRST)
            + pd.Timedelta(days=n)
            + pd.to_timedelta(np.sort(rng.integers(0, 86_400, rows)), unit="s")
        )
        km, zone = rng.gamma(2.0, 3.0, rows), rng.choice(["A", "B", "C"], rows)
        minutes = 5 + 2 * km + 8 * (zone == "A") + rng.exponential(2.0, rows)
        parts.append(
            pd.DataFrame(
                {
                    "picked_up": at.tz_localize("Europe/Berlin"),
                    "driver": rng.integers(1, 20, rows),
                    "order_id": [f"O{n:03d}{k:03d}" for k in range(rows)],
                    "km": km,
                    "zone": zone,
                    "dropped_off": (at + pd.to_timedelta(minutes, unit="m")).tz_localize("Europe/Berlin"),
                    "minutes": np.where(n >= days - 2, np.nan, minutes),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def colours(days: int = 30, rows: int = 60, seed: int = 3) -> pd.DataFrame:
    """Which colour is bought: size tells, mostly."""
    rng = np.random.default_rng(seed)
    parts = []
    for n in range(days):
        size = rng.normal(size=rows)
        near = np.clip(np.round(size + rng.normal(scale=0.4, size=rows)), -1, 1).astype(int)
        parts.append(
            pd.DataFrame(
                {
                    "when": str(FIRST + timedelta(n)),
                    "basket": [f"B-{n}-{k}" for k in range(rows)],
                    "size": size,
                    "shop": rng.choice(["north", "south"], rows),
                    "colour": np.array(["red", "green", "blue"])[near + 1],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def written(frame: pd.DataFrame, path: Path) -> Path:
    """In the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


def request(path: Path, **changes: Any) -> Any:
    """The request for :func:`customers`, or with other words."""
    from pipeline.onboarding.history.request import Request

    asked: dict[str, Any] = {"name": "churn", "target": "churned", "time": "day", "unit": ("customer_id",)}
    return Request(file=path, **{**asked, **changes})
