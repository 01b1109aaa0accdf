"""The support table of the documentation, made from the results of the suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.transports.shared.carrier import FEATURES, Carrier
from tests.transports.shared.carriers import CARRIERS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "transports.md"
BEGIN, END = "<!-- support table -->\n\n", "\n<!-- end of the support table -->"

#: The modules of the suite, and what they are about.
TOPICS = {
    "test_same": "the same as HTTP",
    "test_exchanges": "requests, streams",
    "test_opening": "opening, Origin",
    "test_push": "subscribe, publish, live",
    "test_limits": "limits",
    "test_shutdown": "shutdown",
}

YES, NO, FAILED = "yes", "no", "**fails**"

#: By carrier and topic, whether all tests have passed.
Results = Mapping[tuple[str, str], bool]


def rendered(results: Results) -> str:
    """Where there is no result, the table says yes."""
    carriers = list(CARRIERS.values())
    reasons = list(dict.fromkeys(why for each in carriers for why in each.lacks.values()))
    return "\n".join(
        [
            *_table(("", *TOPICS.values()), [_passed(each, results) for each in carriers]),
            "",
            *_table(("", *FEATURES.values()), [_features(each, reasons) for each in carriers]),
            "",
            *(f"{number}. {why[0].upper()}{why[1:]}." for number, why in enumerate(reasons, 1)),
            "",
        ]
    )


def shown() -> str:
    """What the documentation shows."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(results: Results) -> None:
    """Put the table where the documentation has it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{rendered(results)}{END}{after}", encoding="utf-8")


def _passed(carrier: Carrier, results: Results) -> Sequence[str]:
    cells = (YES if results.get((carrier.name, topic), True) else FAILED for topic in TOPICS)
    return carrier.title, *cells


def _features(carrier: Carrier, reasons: list[str]) -> Sequence[str]:
    lacks = carrier.lacks
    cells = (
        f"{NO} ({reasons.index(lacks[each]) + 1})" if each in lacks else YES for each in FEATURES
    )
    return carrier.title, *cells


def _table(head: Sequence[str], rows: list[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
