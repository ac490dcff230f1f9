"""The page of a verdict: everything is on it, nothing is loaded, nothing a name says is ever run."""

import dataclasses
import html
import re
from dataclasses import replace

import numpy as np
import pytest
import verdict_samples as samples

from pipeline.core.evidence.measurements import Timing
from pipeline.core.verdict import Bound, Contestant, Finding, Outcome
from pipeline.report.canvas import Scale, number, ticks
from pipeline.report.verdict.note import refusal_note, run_note, version_note
from pipeline.report.verdict.page import refusal_page, verdict_page
from pipeline.report.verdict.plots import spread

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "{% include 'x' %}",
    "javascript:alert(1)",
    "<!--",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;",
    "<iframe src=//evil.example>",
    '<a href="//evil.example">x</a>',
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "<link rel=stylesheet href=//evil.example>",
    "url(//evil.example)",
    "\u202eevil",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
]


@pytest.fixture(scope="module")
def binary():
    return samples.sample()


@pytest.fixture(scope="module")
def regression():
    return samples.regression()


@pytest.fixture(params=["binary", "regression"])
def judged(request):
    return request.getfixturevalue(request.param)


def text_of(page):
    return html.unescape(page.decode())


def tags_of(page):
    """Names of all elements, from a real parser's view of the markup."""
    from html.parser import HTMLParser

    seen, attributes = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append(tag)
            attributes.extend(attrs)

    Reader().feed(page.decode())
    return seen, attributes


def test_every_finding_of_every_candidate_is_on_the_page(judged):
    usecase, verdict, evidence, daily = judged
    page = text_of(verdict_page(verdict, usecase, evidence, daily))
    every = [finding for found in verdict.findings.values() for finding in found]
    assert len(every) > 60
    assert [f.text for f in every if f.text not in page] == []


def test_the_sentence_the_contestants_and_the_decision_stand_before_everything_else(judged):
    usecase, verdict, evidence, daily = judged
    page = text_of(verdict_page(verdict, usecase, evidence, daily))
    top = page[: page.index("What the gates said")]
    for expected in (
        verdict.reason,
        "Promote boosted_60 in place of logistic_28; its loss is",
        "in place of version 3 (logistic_28)",
        usecase.question,
    ):
        assert expected in top
    assert "trained through 2013-02-19" in top
    assert "812 of 871" in top
    assert "47 cancelled" in top


def test_the_page_has_the_drawings_a_reviewer_looks_for(judged):
    usecase, verdict, evidence, daily = judged
    page = text_of(verdict_page(verdict, usecase, evidence, daily, ["2013-02-26"], changes={"2013-02-25": "version 3"}))
    for heading in ("Loss over days", "How sure", "Does it mean what it says?", "Slices", "Latency", "refitting noise"):
        assert heading in page
    assert evidence["boosted_60"].kind.reliability(np.ones(3), np.ones(3), np.arange(3)).y in page
    assert "2013-02-26" in page
    assert "version 3 ▾" in page
    assert page.count("<svg") >= 60
    assert not re.search(r"\bnan\b", re.sub(r"<[^>]*>", " ", page), re.IGNORECASE)
    assert not re.search(r'="[^"]*\bnan\b', page)
    assert 'd=""' not in page


def test_the_page_loads_nothing_and_runs_nothing(judged):
    usecase, verdict, evidence, daily = judged
    page = verdict_page(verdict, usecase, evidence, daily)
    tags, attributes = tags_of(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(tags)
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "srcset")]
    assert not [value for name, value in attributes if name == "href"]
    assert b"@import" not in page
    assert b"url(" not in page
    outside = re.sub(rb'xmlns="http://www.w3.org/2000/svg"', b"", page)
    assert b"http://" not in outside
    assert b"https://" not in outside


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_and_no_text_becomes_markup(binary, hostile):
    usecase, verdict, evidence, daily = binary
    harmless, _ = tags_of(verdict_page(verdict, usecase, evidence, daily, ["day"], changes={"2013-02-25": "name"}))
    finding = Finding(hostile, Outcome.FAIL, hostile, 0.5, Bound(0, 1), 0.1, 0.9, {hostile: 3}, about=hostile)
    slice_ = replace(finding, name="slice", about=f"origin={hostile}", required=False)
    evil = replace(
        verdict,
        reason=hostile,
        loss_name=hostile,
        findings={**verdict.findings, hostile: (finding, slice_, replace(finding, name="not worse"))},
        losses={**verdict.losses, hostile: 0.5},
        counts={**verdict.counts, hostile: 1},
        snapshot={hostile: 1},
        challenger=Contestant("m", hostile, hostile),
        champion=Contestant("m", hostile, hostile, 3),
        fits={hostile: {"skipped": hostile}, "b": {"trained_first": hostile, "model": hostile}},
    )
    asked = replace(usecase, question=hostile)
    page = verdict_page(
        evil, asked, {hostile: evidence["boosted_60"]}, {**daily, hostile: daily["champion"]}, [hostile],
        {hostile: "https://a.example/" + hostile, "bad": hostile}, {"2013-02-25": hostile},
    )  # fmt: skip
    tags, attributes = tags_of(page)
    assert set(tags) <= {*harmless, "a", "nav"}
    assert not [name for name, _ in attributes if name.startswith("on") or name == "src"]
    assert all(value.startswith("https://a.example/") for name, value in attributes if name == "href")
    assert hostile in text_of(page)
    refused, attributes = tags_of(refusal_page(hostile, "2013-03-08", [finding], hostile, {hostile: hostile}))
    assert set(refused) <= {*harmless, "p"}
    assert not [name for name, _ in attributes if name in ("href", "src") or name.startswith("on")]


def test_the_same_evidence_gives_the_same_bytes(judged):
    usecase, verdict, evidence, daily = judged
    page = verdict_page(verdict, usecase, evidence, daily)
    assert page == verdict_page(verdict, usecase, evidence, daily)
    # A database of Airflow's may keep the tables of a snapshot in another order than one process does.
    assert len(verdict.snapshot) > 1
    other = replace(verdict, snapshot=dict(reversed(verdict.snapshot.items())))
    assert other.digest == verdict.digest
    assert page == verdict_page(other, usecase, evidence, daily)


def test_timings_that_no_finding_speaks_of_do_not_change_the_page(binary):
    usecase, verdict, evidence, daily = binary
    silent = replace(
        verdict,
        findings={r: tuple(f for f in fs if not f.name.startswith("latency")) for r, fs in verdict.findings.items()},
    )
    other = Timing(np.full((30, 2), 0.2), np.full((30, 2), 0.9), 900)
    slower = {recipe: dataclasses.replace(one, timing=other) for recipe, one in evidence.items()}
    assert verdict_page(silent, usecase, evidence, daily) == verdict_page(silent, usecase, slower, daily)


def test_the_first_day_has_a_page_although_nobody_is_compared(binary):
    usecase, verdict, _, _ = binary
    first = replace(
        verdict, decision="start", champion=None, epoch=0, findings={}, losses={"late_rate_by_carrier": 0.5},
        challenger=Contestant("b", "late_rate_by_carrier", "2013-03-07"), reason="no champion yet",
    )  # fmt: skip
    page = text_of(verdict_page(first, usecase, {}, {"late_rate_by_carrier": {"2013-03-08": 0.5}}))
    assert "Start with late_rate_by_carrier" in page
    assert "No gate was asked" in page
    assert "How sure" not in page


def test_a_held_day_says_so_and_shows_the_nearest_candidate():
    usecase, verdict, evidence, daily = samples.sample(worse=True, seed=3)
    assert verdict.decision == "hold"
    page = text_of(verdict_page(verdict, usecase, evidence, daily))
    assert "Hold" in page[: page.index("What the gates said")]
    assert "version 3 (logistic_28) stays champion" in page
    assert "the nearest to passing" in page


def test_evidence_full_of_holes_still_makes_a_page(judged):
    usecase, verdict, evidence, _ = judged
    paired = evidence["boosted_60"].paired
    nothing = np.full(len(paired), np.nan)
    holes = {
        "boosted_60": replace(evidence["boosted_60"], paired=replace(paired, labels=nothing), holdout=None, timing=None)
    }
    empty = (Finding("not worse", Outcome.UNKNOWN, "nothing known"), Finding("sound", Outcome.FAIL, "", float("nan")))
    page = verdict_page(replace(verdict, findings={"boosted_60": empty}, losses={}), usecase, holes, {"champion": {}})
    assert b"nothing known" in page
    assert b">nan<" not in page


def test_a_refused_day_shows_what_was_broken_first_and_hides_nothing():
    broken = Finding("planes: age", Outcome.FAIL, "planes is 7 days old", 7, Bound(0, 3), about="planes")
    unsure = Finding("planes: keys", Outcome.UNKNOWN, "no keys to look up")
    sound = [Finding(f"check {n}", Outcome.PASS, f"fine {n}") for n in range(40)]
    page = text_of(refusal_page("flight_delay", "2013-03-08", [*sound, broken, unsure], "planes is stale"))
    page = page[page.index("<body>") :]
    top = page[: page.index("Why it was refused")]
    assert "Refused: planes is 7 days old, at most 3 allowed; 2 of 42 checks did not pass" in top
    page = page[page.index("planes is stale") :]
    assert page.index("planes is stale") < page.index("planes is 7 days old") < page.index("fine 0")
    assert all(f.text in page for f in (broken, unsure, *sound))
    assert page.index("no keys to look up") < page.index("What was sound")


def test_only_web_addresses_become_links(binary):
    usecase, verdict, evidence, daily = binary
    links = {"Airflow run": "http://127.0.0.1:8080/x", "bad": "javascript:alert(1)", "file": "file:///etc/passwd"}
    _, attributes = tags_of(verdict_page(verdict, usecase, evidence, daily, links=links))
    assert [value for name, value in attributes if name == "href"] == ["http://127.0.0.1:8080/x"]


def test_notes_say_what_happened_and_escape_what_markdown_would_read(binary):
    _, verdict, _, _ = binary
    evil = replace(verdict, reason="<b>x</b> [link](javascript:alert) | *bold* boosted_60")
    note = run_note(evil, {"Airflow run": "http://a/b c", "bad": "javascript:alert(1)"})
    assert note.startswith("### Promote boosted_60 in place of logistic_28; its loss is")
    assert "\\<b\\>x\\</b\\> \\[link\\](javascript:alert) \\| \\*bold\\* boosted_60" in note
    assert "[Airflow run](http://a/b%20c)" in note
    assert "javascript:alert(1)" not in note
    assert all(f.text.split(" (")[0] in note for f in verdict.findings["boosted_60"] if f.required)
    assert version_note(verdict).startswith("boosted_60, trained through 2013-03-07")
    assert "✕ FAIL" in refusal_note("stale", [Finding("planes: age", Outcome.FAIL, "7 days")])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (0, "0"), (1234567.0, "1,234,567"), (0.61234, "0.6123"), (3e-7, "3.0e-07")],
)
def test_numbers_are_written_as_people_write_them(value, shown):
    assert number(value) == shown


def test_a_scale_without_extent_still_places_its_value_inside():
    for value in (0.0, 5.0, -3.0):
        scale = Scale.over([value, float("nan")], 10, 110)
        assert 10 < scale(value) < 110
    assert Scale.over([], 0, 1).ticks()
    assert Scale.over([0.001, 10], 0, 100, log=True)(0.1) == pytest.approx(50, abs=3)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7), (1e-5, 2e-5), (1000, 1e6)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 11
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)


def test_labels_keep_their_order_and_their_distance():
    placed = spread([100, 101, 102, 20], 15, 0, 120)
    assert placed[3] < placed[0] < placed[1] < placed[2] <= 120
    assert min(b - a for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False)) >= 15


def test_days_that_were_corrected_since_are_named(judged):
    usecase, verdict, evidence, daily = judged
    page = text_of(verdict_page(verdict, usecase, evidence, daily, corrected=["2013-02-24"]))
    assert "2013-02-24: delivered anew since they were scored" in page
    assert "delivered anew" not in text_of(verdict_page(verdict, usecase, evidence, daily))


def test_days_without_a_point_are_named_below_the_chart_of_losses(judged):
    usecase, verdict, evidence, daily = judged
    page = text_of(verdict_page(verdict, usecase, evidence, daily, ["2013-02-26"], corrected=["2013-02-24"]))
    chart = page[page.index("Loss over days") : page.index("How sure")]
    caption = chart[chart.index("<figcaption>") :]
    assert (
        "Not drawn: 2013-02-24 (delivered anew since then; run again, a day is drawn); 2013-02-26 (data refused)."
        in caption
    )
    assert "Not drawn" not in text_of(verdict_page(verdict, usecase, evidence, daily))


def legends(page):
    """Of each legend, the colour classes it names; and what stands between it and the next heading."""
    for part in page.split('<div class="legend">')[1:]:
        named, _, drawn = part.partition("</div>")
        yield re.findall(r'<i class="(\w+)">', named), re.split(r"<h[23]>|<table>", drawn)[0]


def test_a_legend_names_only_what_is_drawn_and_all_of_it(binary):
    usecase, verdict, evidence, daily = binary
    one = evidence["boosted_60"]
    unfitted = replace(one, holdout=replace(one.holdout, resampled=None))
    silent = replace(one, paired=replace(one.paired, champion=np.full(len(one.paired), np.nan)))
    for about, wanted in ((one, 3), (unfitted, 2), (silent, 3)):
        seen = list(legends(text_of(verdict_page(verdict, usecase, {"boosted_60": about}, daily))))
        assert seen
        for named, drawn in seen:
            assert set(named) == set(re.findall(r'class="(?:line|hist) (\w+)', drawn))
        assert max(len(named) for named, _ in seen) == wanted


def test_a_contestant_without_a_loss_has_no_name_in_the_chart(binary):
    usecase, verdict, evidence, daily = binary
    page = text_of(verdict_page(verdict, usecase, evidence, {**daily, "absent": {"2013-03-08": float("nan")}}))
    assert "absent" not in page[page.index("Loss over days") : page.index("How sure")]
