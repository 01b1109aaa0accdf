"""What concerns what: the index finds exactly the queries that comparing each of them would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsrequest.livequery.changes import Heard, Index, concerns
from wsrequest.livequery.interest import Interest

TABLES = st.dictionaries(
    st.sampled_from("abc"), st.none() | st.frozensets(st.sampled_from("123")), max_size=3
)


@given(st.lists(TABLES, max_size=5), TABLES, st.data())
def test_the_index_agrees_with_comparing_one_by_one(reads, change, data):
    index = Index(Interest())
    for query, read in enumerate(reads):
        index.add(query, read)
    gone = data.draw(st.sets(st.sampled_from(range(len(reads))))) if reads else set()
    for query in gone:
        index.remove(query, reads[query])
    expected = {
        query for query, read in enumerate(reads) if query not in gone and concerns(change, read)
    }
    assert index.concerned(change) == expected


@given(st.lists(TABLES, max_size=5))
def test_nothing_stays_behind(reads):
    index = Index(Interest())
    for query, read in enumerate(reads):
        index.add(query, read)
    for query, read in enumerate(reads):
        index.remove(query, read)
    assert not index._whole
    assert not index._rows


def test_what_concerns_what():
    assert concerns(None, {})
    assert concerns({"a": None}, {"a": None})
    assert concerns({"a": None}, {"a": {"1"}})
    assert concerns({"a": {"1"}}, {"a": None})
    assert concerns({"a": {"1", "2"}}, {"a": {"2"}})
    assert not concerns({"a": {"1"}}, {"a": {"2"}})
    assert not concerns({"a": None}, {"b": None})


@given(st.lists(TABLES, max_size=8), st.integers(0, 8), TABLES)
def test_what_came_after_a_mark(changes, before, reads):
    heard = Heard(Interest())
    assert not heard
    for change in changes[:before]:
        heard.add(change)
    mark = heard.mark()
    assert heard
    for change in changes[before:]:
        heard.add(change)
    assert heard.since(mark, reads) == any(concerns(each, reads) for each in changes[before:])
    heard.release(mark)
    assert not heard
    assert not heard._kept
