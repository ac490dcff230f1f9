"""The lines of the promotion ledger."""

from __future__ import annotations

from pipeline.core.headlines.shortening import first_that_fits, unable_champion
from pipeline.core.records import Entry

_SHOWN = "its loss is shown to be "


def entry_headline(entry: Entry, replaced: str = "") -> str:
    """Who became champion, in place of whom; or whose hold a person has ended.

    Args:
        entry: The line.
        replaced: The recipe of the champion that it replaced; empty where that is not known.
    """
    recipe, version = entry.recipe, entry.version
    before = f"version {entry.replaced}" if replaced in ("", recipe) else replaced
    match entry.action:
        case "start":
            return first_that_fits(
                "started: ", [f"{recipe} is the first champion", "the baseline is the first champion"]
            )
        case "rollback":
            back = f"version {version} ({recipe}) serves again in place of version {entry.replaced}"
            short = f"version {version} serves again in place of version {entry.replaced}"
            return first_that_fits(
                "rolled back: ", [f"{back}; {entry.why}", back, short, "an earlier champion serves again"]
            )
        case "lift":
            may = f"{entry.held} may be promoted again"
            return first_that_fits("hold lifted: ", [f"{may}; {entry.why}", may, "its recipe may be promoted again"])
        case _:
            who = f"a fresh {recipe}" if replaced == recipe else recipe
            plain = f"{who} in place of {before}"
            if unable := unable_champion(entry.why):
                # That it could not answer is the whole reason; who takes over stands beside it.
                return first_that_fits(
                    "promoted: ", [f"{plain}; {unable}", f"{who}; {unable}", f"{plain}, which can't answer", plain]
                )
            gain = entry.why.partition(_SHOWN)[2].partition(" than ")[0]
            # What is sure may be less than what is likely: a bound that is no gain would read as a loss.
            forms = [f"{plain}; its loss is {gain}"] if gain.endswith("lower") else []
            return first_that_fits("promoted: ", [*forms, plain, f"{who} is champion", "a better model is champion"])
