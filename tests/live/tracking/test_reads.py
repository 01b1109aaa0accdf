"""What a GET reads is noted, by tables and rows."""

from __future__ import annotations

import contextvars
import threading
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Replace

import wsrequest
from tests.live.tracking.shop.models import Author, Book, Novel, Odd, Place, Shelf, Tag
from wsrequest.livequery.tracking import Reads, reading

UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")

ALL_OF_A_BOOK = {"shop_book": {"7"}, "shop_author": None}


def close(alias):
    """The connection of this thread."""
    connections[alias].close()


def books(db):
    return Book.objects.using(db)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (lambda db: books(db).filter(pk=7).first(), {"shop_book": {"7"}}),
        (lambda db: list(books(db).filter(pk="7")), {"shop_book": {"7"}}),
        (lambda db: list(books(db).filter(pk__in=[7, 8])), {"shop_book": {"7", "8"}}),
        (lambda db: list(books(db).filter(pk__in=range(100))), {"shop_book": {*map(str, range(100))}}),
        (lambda db: list(books(db).filter(pk__in=range(101))), {"shop_book": None}),
        (lambda db: list(books(db).filter(pk=7, price__gt=3)), {"shop_book": {"7"}}),
        (lambda db: list(books(db).filter(price__gt=3).exclude(price=5).filter(pk=7)), {"shop_book": {"7"}}),
        (lambda db: list(books(db).filter(Q(pk=7) | Q(price=3))), {"shop_book": None}),
        (lambda db: list(books(db).filter(Q(price=4) | Q(price=3), pk=7)), {"shop_book": {"7"}}),
        (lambda db: list(books(db).filter(~Q(pk=7))), {"shop_book": None}),
        (lambda db: list(books(db).exclude(pk__in=[7])), {"shop_book": None}),
        (lambda db: list(books(db).filter(Q(pk=7) ^ Q(price=1))), {"shop_book": None}),
        (lambda db: list(books(db).filter(pk__gt=7)), {"shop_book": None}),
        (lambda db: books(db).filter(pk=7).exists(), {"shop_book": {"7"}}),
        (lambda db: books(db).count(), {"shop_book": None}),
        (lambda db: books(db).filter(pk=7).count(), {"shop_book": {"7"}}),
        (lambda db: books(db).aggregate(Sum("price")), {"shop_book": None}),
        (lambda db: list(books(db).values("title")), {"shop_book": None}),
        (lambda db: list(books(db).filter(pk=7).values_list("title")), {"shop_book": {"7"}}),
        (lambda db: list(books(db).iterator()), {"shop_book": None}),
        (lambda db: list(books(db).filter(pk=7).iterator()), {"shop_book": {"7"}}),
        (lambda db: list(books(db).in_bulk([7, 8])), {"shop_book": {"7", "8"}}),
        (lambda db: list(books(db).filter(pk=7).select_related("author")), ALL_OF_A_BOOK),
        (
            lambda db: list(books(db).filter(pk=7, author__pk=3).select_related("author")),
            ALL_OF_A_BOOK,
        ),
        (lambda db: list(books(db).filter(author__name="x")), {"shop_book": None, "shop_author": None}),
        (
            lambda db: list(books(db).filter(tags=UUID)),
            {"shop_book": None, "shop_book_tags": None},
        ),
        (
            lambda db: list(books(db).filter(pk=7) | books(db).filter(price=9)),
            {"shop_book": None},
        ),
        (lambda db: list(books(db).filter(pk=7).union(books(db).filter(pk=8))), {"shop_book": None}),
        (
            lambda db: list(books(db).filter(author__in=Author.objects.using(db).filter(pk=3))),
            {"shop_book": None, "shop_author": None},
        ),
        (
            lambda db: list(
                books(db)
                .filter(pk=7)
                .annotate(n=Subquery(Author.objects.filter(pk=OuterRef("author")).values("name")[:1]))
            ),
            ALL_OF_A_BOOK,
        ),
        (
            lambda db: list(
                books(db).filter(Exists(Book.objects.filter(author=OuterRef("author"))), pk=7)
            ),
            {"shop_book": None},
        ),
        (
            lambda db: list(Author.objects.using(db).filter(pk=3).annotate(Count("books"))),
            {"shop_author": {"3"}, "shop_book": None},
        ),
        (lambda db: list(books(db).raw("SELECT * FROM shop_book WHERE shop_book.id = %s", [7])), {"shop_book": {"7"}}),
        (lambda db: list(books(db).raw("SELECT * FROM shop_book WHERE id = 7")), {"shop_book": None}),
        (
            lambda db: list(Novel.objects.using(db).filter(pk=7)),
            {"shop_novel": {"7"}, "shop_book": None},
        ),
        (lambda db: list(Tag.objects.using(db).filter(pk=UUID)), {"shop_tag": {UUID.hex}}),
        (lambda db: list(Tag.objects.using(db).filter(pk__in=[str(UUID)])), {"shop_tag": {UUID.hex}}),
        (lambda db: list(Shelf.objects.using(db).filter(pk="A-1")), {"shop_shelf": {"a-1"}}),
        (lambda db: list(Shelf.objects.using(db).filter(pk="é")), {"shop_shelf": None}),
        (lambda db: list(Place.objects.using(db).filter(pk=(1, 2))), {"shop_place": None}),
        (lambda db: list(Odd.objects.using(db).filter(pk=7)), {"odd name-d": {"7"}}),
        (lambda db: list(books(db).filter(title=Replace("title", F("title")), pk=7)), {"shop_book": {"7"}}),
        (lambda db: wsrequest.depends_on("weather", Author), {"name:weather": None, "shop_author": None}),
        (lambda db: wsrequest.depends_on(Shelf(pk="A")), {"shop_shelf": {"a"}}),
    ],
)  # fmt: skip
def test_a_query(db, read, query, expected):
    assert read(lambda: query(db)) == expected


def test_prefetching_reads_the_rows_that_it_names(db, read):
    author = Author.objects.using(db).create(name="A")
    book = Book.objects.using(db).create(title="B", author=author)
    assert read(lambda: list(books(db).prefetch_related("author", "tags"))) == {
        "shop_book": None,
        "shop_author": {str(author.pk)},
        "shop_tag": None,
        "shop_book_tags": None,
    }
    assert read(lambda: Book.objects.using(db).get(pk=book.pk).author.name) == {
        "shop_book": {str(book.pk)},
        "shop_author": {str(author.pk)},
    }


def test_what_is_read_again_adds_up(db, read):
    def several():
        for pk in range(60):
            books(db).filter(pk=pk).first()

    assert read(several) == {"shop_book": {*map(str, range(60))}}

    def many():
        for pk in range(101):
            books(db).filter(pk=pk).first()

    assert read(many) == {"shop_book": None}

    def all_and_one():
        books(db).count()
        books(db).filter(pk=1).first()

    assert read(all_and_one) == {"shop_book": None}


def test_raw_sql_reads_what_it_names(db, read):
    def run(sql, params=None):
        with connections[db].cursor() as cursor:
            cursor.execute(sql, params)
            cursor.fetchall()

    for sql in (
        "select count(*) from SHOP_BOOK",
        "/* shelf */ SELECT 1 FROM shop_book",
        "WITH b AS (SELECT * FROM shop_book) SELECT * FROM b",
        "SELECT 1 FROM shop_author a JOIN shop_book ON a.id = shop_book.author_id",
    ):
        assert read(lambda sql=sql: run(sql))["shop_book"] is None
    named = read(lambda: run("SELECT 1 FROM shop_book WHERE shop_book.id = %s", [3]))
    assert named == {"shop_book": {"3"}}


def test_without_anybody_who_asks_nothing_is_noted(db, told):
    books(db).count()
    wsrequest.depends_on(Book)
    assert told == []


def test_only_the_context_that_asks(db):
    reads = Reads()
    context = contextvars.copy_context()
    context.run(reading, reads)
    books(db).count()
    assert reads.tables == {}
    context.run(books(db).count)
    assert reads.tables == {"shop_book": None}

    def elsewhere():
        books(db).count()
        connections[db].close()

    reads.tables.clear()
    thread = threading.Thread(target=elsewhere)  # has a context of its own
    thread.start()
    thread.join()
    assert reads.tables == {}


async def test_asynchronous_views_and_the_threads_of_their_queries(lite_db):
    async def view():
        reading(reads)
        await books(lite_db).acount()
        await sync_to_async(lambda: list(Author.objects.using(lite_db).all()))()
        wsrequest.depends_on("weather")

    reads = Reads()
    await view()
    await sync_to_async(close)(lite_db)
    assert reads.tables == {"shop_book": None, "shop_author": None, "name:weather": None}


def test_sessions_are_read_by_nobody(lite_db, read):
    def session():
        with connections[lite_db].cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE django_session (session_key text)")
            cursor.execute("SELECT * FROM django_session")
            cursor.execute("DROP TABLE django_session")

    assert read(session) == {}


@pytest.mark.parametrize(
    ("thing", "error"),
    [("", ValueError), ("/orders/", ValueError), ("@mine", ValueError), (7, TypeError)],
)
def test_what_nothing_can_depend_on(thing, error):
    with pytest.raises(error, match=r"^depends_on\(\): "):
        wsrequest.depends_on(thing)


def test_an_instance_without_a_key_is_no_row():
    with pytest.raises(ValueError, match="no primary key"):
        wsrequest.depends_on(Author(name="new"))
