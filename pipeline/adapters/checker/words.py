"""What an expectation wanted and what came instead, in words for people who have never seen its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pipeline.core.facts import MOST_EXACT
from pipeline.core.words import count

_SHOWN = 5
#: So many new words are accepted by one line.
_LISTED = 40
_IN_SET = "expect_column_values_to_be_in_set"
_PREFIXES = ("expect_column_pair_", "expect_column_", "expect_compound_columns_", "expect_table_", "expect_")
_FILLERS = ("values_", "value_", "to_be_", "to_", "of_type_")


def name_of(expectation: Mapping[str, Any]) -> str:
    """A few words: ``temp between``, ``row count between``."""
    words, kwargs = expectation["type"], expectation["kwargs"]
    if words == "expect_column_pair_values_a_to_be_greater_than_b":
        return f"{kwargs['column_A']} above {kwargs['column_B']}"
    for prefix in _PREFIXES:
        words = words.removeprefix(prefix)
    for filler in _FILLERS:
        words = words.replace(filler, "")
    return f"{subject_of(expectation)} {words.replace('_', ' ')}".strip()


def sentence(
    expectation: Mapping[str, Any], result: Mapping[str, Any], words: Mapping[Any, int] = MappingProxyType({})
) -> str:
    """What was wanted, how far it was missed with a few examples, or the new ``words``, and why it matters."""
    kwargs = expectation["kwargs"]
    want = _WANTED.get(expectation["type"], _plain)(kwargs)
    if kwargs.get("mostly", 1) < 1:
        want += f" in {kwargs['mostly']:.0%} of the rows"
    if "unexpected_count" in result:
        judged = result["element_count"] - (0 if "null" in expectation["type"] else result.get("missing_count", 0))
        got = f"{result['unexpected_count']} of {judged} are not"
        if words:
            named = ", ".join(f"{_word(word)} ({count(n, 'row')})" for word, n in list(words.items())[:_SHOWN])
            more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
            return f"wanted {want}; {got}: {named}{more}" + _why(expectation)
        examples = list(dict.fromkeys(_word(value) for value in result.get("partial_unexpected_list", [])))
        if examples and "null" not in expectation["type"]:
            got += f", such as {', '.join(examples[:_SHOWN])}"
    else:
        got = f"it is {_word(result.get('observed_value'))}"
    return f"wanted {want}; {got}{_why(expectation)}"


def _why(expectation: Mapping[str, Any]) -> str:
    why = (expectation.get("meta") or {}).get("why")
    return f". {why}" if why else ""


def new_words(expectation: Mapping[str, Any], frame: Any) -> dict[Any, int]:
    """The words of the column that the expectation's set lacks, to the rows that say them, the commonest first.

    Empty for every other kind of expectation.
    """
    kwargs = expectation["kwargs"]
    if expectation["type"] != _IN_SET or kwargs["column"] not in frame.columns:
        return {}
    values = frame[kwargs["column"]].dropna()
    counts = values[~values.isin(list(kwargs["value_set"]))].value_counts()
    return {word: int(n) for word, n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))}


def advice(expectation: Mapping[str, Any], table: str, file: str, words: Mapping[Any, int]) -> str:
    """What to ask about a broken expectation, and the line that accepts what came instead, as a clause."""
    subject = subject_of(expectation)
    ask = f"ask whoever delivers '{table}' " + (f"what changed in '{subject}'" if subject else "whether it is whole")
    accept = (expectation.get("meta") or {}).get("accept")
    if accept:
        return f"{ask}; to accept it, {accept} ({file})"
    if not words:
        return f"{ask}; if it is right as it came, change that expectation in {file}"
    line = "".join(f"{json.dumps(_plain_word(word), ensure_ascii=False)}, " for word in list(words)[:_LISTED]).strip()
    below = f'add this line below "value_set": [ of "{subject}" in {file}'
    return f"ask whoever delivers '{table}' whether these are words of '{subject}'; to accept them, {below}: {line}"


def _plain_word(word: Any) -> Any:
    return word.item() if hasattr(word, "item") else word


def subject_of(expectation: Mapping[str, Any]) -> str:
    """The column or columns it speaks of; empty for the table itself."""
    return _subject(expectation["kwargs"])


def _subject(kwargs: Mapping[str, Any]) -> str:
    if "column_A" in kwargs:
        return f"{kwargs['column_A']} and {kwargs['column_B']}"
    if "column_list" in kwargs:
        return " and ".join(kwargs["column_list"])
    return str(kwargs.get("column", ""))


def _range(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None:
        return f"at most {_word(high)}"
    return f"at least {_word(low)}" if high is None else f"{_word(low)} to {_word(high)}"


def _statistic(what: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda kwargs: f"{what} of '{kwargs['column']}' of {_range(kwargs)}"


def _words(values: Any) -> str:
    shown = [_word(value) for value in list(values)[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


_WANTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "expect_column_values_to_be_between": lambda k: f"'{k['column']}' of {_range(k)}",
    "expect_column_values_to_not_be_null": lambda k: f"'{k['column']}' present",
    "expect_column_values_to_be_unique": lambda k: f"each '{k['column']}' once",
    "expect_compound_columns_to_be_unique": lambda k: f"each {_subject(k)} once",
    "expect_column_values_to_be_in_set": lambda k: f"'{k['column']}' among {_words(k['value_set'])}",
    "expect_column_distinct_values_to_contain_set": lambda k: f"{_words(k['value_set'])} all in '{k['column']}'",
    "expect_column_distinct_values_to_be_in_set": lambda k: f"'{k['column']}' among {_words(k['value_set'])}",
    "expect_column_values_to_match_regex": lambda k: f"'{k['column']}' of the form {k['regex']}",
    "expect_column_pair_values_a_to_be_greater_than_b": lambda k: (
        f"'{k['column_A']}' above '{k['column_B']}'" + (" or equal to it" if k.get("or_equal") else "")
    ),
    "expect_table_row_count_to_be_between": lambda k: f"{_range(k)} rows",
    "expect_column_mean_to_be_between": _statistic("a mean"),
    "expect_column_median_to_be_between": _statistic("a median"),
    "expect_column_stdev_to_be_between": _statistic("a spread (standard deviation)"),
    "expect_column_min_to_be_between": _statistic("a least value"),
    "expect_column_max_to_be_between": _statistic("a greatest value"),
    "expect_column_unique_value_count_to_be_between": _statistic("a number of different values"),
}


def _plain(kwargs: Mapping[str, Any]) -> str:
    left = {key: value for key, value in kwargs.items() if key not in ("batch_id", "mostly")}
    return ", ".join(f"{key} {_word(value)}" for key, value in left.items())


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return " against ".join(_word(part) for part in value)
    # Six digits of a whole number would name another one.
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= MOST_EXACT
    text = str(int(value)) if whole else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
