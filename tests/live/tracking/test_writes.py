"""What is written is told, by tables and rows, whatever writes it."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, connections
from django.db.models import F
from django.test import override_settings

from tests.live.tracking.shop.models import Author, Book, Novel, Odd, Place, Shelf, Tag
from wsrequest.push.brokers import broker_of

UUIDS = [uuid.UUID(int=number) for number in range(3)]


def execute(db, sql, params=None):
    with connections[db].cursor() as cursor:
        cursor.execute(sql, params)


@pytest.fixture
def author(db):
    return Author.objects.using(db).create(name="A")


@pytest.fixture
def book(db, author):
    return Book.objects.using(db).create(title="B", author=author)


@pytest.fixture
def after(told):
    """What is told of what this does, as one."""

    def done(function):
        told.clear()
        function()
        written = {}
        for rows in told:
            for table, keys in rows.items():
                known = written.setdefault(table, set())
                written[table] = None if keys is None or known is None else known | keys
        return written

    return done


def test_a_new_row_with_a_key_of_the_databases(db, after):
    author = Author(name="new")
    assert after(lambda: author.save(using=db)) == {"shop_author": {str(author.pk)}}
    assert author.pk is not None
    again = Author.objects.using(db)
    made = after(lambda: again.create(name="newer"))
    assert made == {"shop_author": {str(again.latest("pk").pk)}}


def test_a_new_row_with_a_key_of_its_own(db, after):
    tag = Tag(name="t", id=UUIDS[1])
    assert after(lambda: tag.save(using=db)) == {"shop_tag": {UUIDS[1].hex}}
    assert after(lambda: Shelf(code="B-2 ").save(using=db)) == {"shop_shelf": {"b-2"}}
    assert after(lambda: Author(pk=77, name="x").save(using=db)) == {"shop_author": {"77"}}
    assert after(lambda: Odd(label="x").save(using=db)) == {"odd name-d": None}
    assert after(lambda: Place(row=1, column=2).save(using=db)) == {"shop_place": None}


def test_saving(db, author, after):
    pk = str(author.pk)
    assert after(author.save) == {"shop_author": {pk}}
    author.name = F("name")
    assert after(lambda: author.save(update_fields=["name"])) == {"shop_author": {pk}}


def test_many_at_once(db, author, after):
    def books(number):
        return [Book(title=str(i), author=author) for i in range(number)]

    tags = [Tag(id=each, name="") for each in UUIDS]
    told = after(lambda: Tag.objects.using(db).bulk_create(tags))
    assert told == {"shop_tag": {each.hex for each in UUIDS} if db == "lite" else None}
    made = books(3)
    told = after(lambda: Book.objects.using(db).bulk_create(made))
    assert told == {"shop_book": None if db == "lite" else {str(each.pk) for each in made}}
    assert [each.title for each in Book.objects.using(db).order_by("pk")] == ["0", "1", "2"]
    changed = after(lambda: Book.objects.using(db).bulk_update(made, ["title"]))
    assert changed == {"shop_book": {str(each.pk) for each in made}}
    more = books(101)
    assert after(lambda: Book.objects.using(db).bulk_create(more)) == {"shop_book": None}
    assert after(lambda: Book.objects.using(db).bulk_update(more, ["title"])) == {"shop_book": None}


def test_many_of_which_some_may_be_there(db, after):
    shelves = Shelf.objects.using(db)
    shelves.create(code="a")
    new = [Shelf(code="a", label="x"), Shelf(code="b")]
    ignored = after(lambda: shelves.bulk_create(new, ignore_conflicts=True))
    assert ignored == {"shop_shelf": {"a", "b"} if db == "lite" else None}
    updated = after(
        lambda: shelves.bulk_create(
            new, update_conflicts=True, update_fields=["label"], unique_fields=["code"]
        )
    )
    assert updated == {"shop_shelf": None}


def test_updates(db, book, after):
    books = Book.objects.using(db)
    pk = str(book.pk)
    assert after(lambda: books.filter(pk=book.pk).update(price=F("price") + 1)) == {
        "shop_book": {pk}
    }
    assert after(lambda: books.filter(pk__in=[book.pk]).update(price=1)) == {"shop_book": {pk}}
    assert after(lambda: books.filter(price=1).update(price=2)) == {"shop_book": None}
    assert after(lambda: books.filter(author__name="A").update(price=2)) == {"shop_book": None}
    assert after(lambda: books.filter(pk=book.pk).update(id=900)) == {"shop_book": None}


def test_a_row_or_a_new_one(db, after):
    shelves = Shelf.objects.using(db)
    assert after(lambda: shelves.get_or_create(code="a")) == {"shop_shelf": {"a"}}
    assert after(lambda: shelves.get_or_create(code="a")) == {}
    update = {"defaults": {"label": "x"}}
    assert after(lambda: shelves.update_or_create(code="a", **update)) == {"shop_shelf": {"a"}}
    assert after(lambda: shelves.update_or_create(code="c", **update)) == {"shop_shelf": {"c"}}


def test_deletions(db, author, book, after):
    pk = str(author.pk)
    told = after(author.delete)
    assert told.pop("shop_author") == {pk}
    assert told.keys() == {"shop_book", "shop_book_tags"}
    shelf = Shelf.objects.using(db).create(code="a")
    assert after(shelf.delete) == {"shop_shelf": {"a"}}
    Shelf.objects.using(db).create(code="b", label="x")
    assert after(Shelf.objects.using(db).filter(label="x").delete) == {"shop_shelf": None}
    assert after(Shelf.objects.using(db).filter(pk="b").delete) == {"shop_shelf": {"b"}}


def test_many_to_many(db, book, after):
    tag = Tag.objects.using(db).create(name="t")
    for change in (
        lambda: book.tags.add(tag),
        lambda: book.tags.set([]),
        lambda: book.tags.set([tag]),
        lambda: book.tags.remove(tag),
        lambda: book.tags.add(tag),
        book.tags.clear,
    ):
        assert after(change).keys() == {"shop_book_tags"}


def test_a_model_with_a_parent_writes_both_tables(db, author, after):
    novel = Novel(title="N", author=author, genre="g")
    told = after(lambda: novel.save(using=db))
    assert told == {"shop_book": {str(novel.pk)}, "shop_novel": {str(novel.pk)}}
    assert after(novel.save) == told
    pk, deleted = str(novel.pk), after(novel.delete)
    assert (deleted["shop_novel"], deleted["shop_book"]) == ({pk}, {pk})


def test_raw_sql(db, author, book, after):
    for sql, expected in (
        ("UPDATE shop_book SET title = 'shop_tag'", {"shop_book": None, "shop_tag": None}),
        ("update SHOP_BOOK set title = title", {"shop_book": None}),
        ("/* DELETE */ UPDATE shop_book SET price = 1 -- all", {"shop_book": None}),
        ("INSERT INTO shop_shelf (code, label) SELECT name, name FROM shop_author", {"shop_shelf": None}),
        ("DELETE FROM shop_shelf", {"shop_shelf": None}),
        ("SELECT * FROM shop_shelf", {}),
        ("WITH a AS (SELECT id FROM shop_author) SELECT * FROM a", {}),
        (
            "WITH a AS (SELECT id FROM shop_author) DELETE FROM shop_book WHERE author_id IN (SELECT id FROM a)",
            {"shop_book": None, "shop_author": None},
        ),
    ):  # fmt: skip
        assert after(lambda sql=sql: execute(db, sql)) == expected, sql
    pinned = "UPDATE shop_author SET name = %s WHERE shop_author.id = %s"
    assert after(lambda: execute(db, pinned, ["x", author.pk])) == {"shop_author": {str(author.pk)}}
    named = "UPDATE shop_author SET name = 'y' WHERE shop_author.id = %(id)s"
    assert after(lambda: execute(db, named, {"id": author.pk})) == {"shop_author": None}


def test_many_parameters(db, after):
    def insert(shelves):
        with connections[db].cursor() as cursor:
            cursor.executemany("INSERT INTO shop_shelf (code, label) VALUES (%s, %s)", shelves)

    assert after(lambda: insert([("a", ""), ("b", "")])) == {"shop_shelf": {"a", "b"}}
    more = [(str(number), "") for number in range(101)]
    assert after(lambda: insert(more)) == {"shop_shelf": None}
    assert after(lambda: insert(iter([("c", "")]))) == {"shop_shelf": None}
    assert Shelf.objects.using(db).count() == 104
    assert after(lambda: insert([])) == {}


def test_what_raised_may_have_written(lite_db, after):
    def insert():
        with connections[lite_db].cursor() as cursor, pytest.raises(IntegrityError):
            cursor.executemany(
                "INSERT INTO shop_shelf (code, label) VALUES (%s, %s)", [("a", ""), ("a", "")]
            )

    assert after(insert) == {"shop_shelf": {"a"}}
    assert Shelf.objects.using(lite_db).count() == 1


@pytest.mark.usefixtures("told")
def test_columns_that_do_not_count(db, author):
    ignored = {"LIVE_IGNORE": ["shop.Author.seen", "shop.Tag"]}
    brokers = {"default": {"BACKEND": "tests.live.tracking.told.ToldBroker"}}
    with override_settings(WSREQUEST={"BROKERS": brokers, **ignored}):
        heard = broker_of().told
        Author.objects.using(db).update(seen=F("seen") + 1)
        Tag.objects.using(db).create(name="t")
        assert heard == []
        Author.objects.using(db).update(seen=1, name="B")
        assert heard == [{"shop_author": None}]
    Author.objects.using(db).update(seen=2)
    assert broker_of().told == [{"shop_author": None}]


def test_what_a_rerun_writes_calls_for_no_other(db, author, read, told, caplog):
    told.clear()

    def view():
        author.save()
        author.save()

    assert read(view, rerun=True) == {}
    assert told == []
    assert read(view) == {}
    assert told == [{"shop_author": {str(author.pk)}}] * 2


def test_sql_of_a_drivers_own(postgres_db, after):
    from psycopg import sql

    composed = sql.SQL("UPDATE {} SET name = {} WHERE {}.id = %s").format(
        sql.Identifier("shop_author"), sql.Literal("it's"), sql.Identifier("shop_author")
    )
    assert after(lambda: execute(postgres_db, composed, [1])) == {"shop_author": None}
    plain = sql.SQL("DELETE FROM {0} WHERE {0}.code = %s").format(sql.Identifier("shop_shelf"))
    assert after(lambda: execute(postgres_db, plain, ["A"])) == {"shop_shelf": {"a"}}
    assert after(lambda: execute(postgres_db, b"DELETE FROM shop_shelf")) == {"shop_shelf": None}


def test_what_only_postgres_can(postgres_db, after):
    for statement, expected in (
        ("TRUNCATE shop_shelf", {"shop_shelf"}),
        ("TRUNCATE shop_book CASCADE", {"shop_book", "shop_book_tags", "shop_novel"}),
        (
            "WITH gone AS (DELETE FROM shop_shelf RETURNING code) "  # noqa: ISC004
            "INSERT INTO shop_author (name, seen) SELECT code, 0 FROM gone",
            {"shop_shelf", "shop_author"},
        ),
        (
            "INSERT INTO shop_shelf (code, label) VALUES ('a', '') ON CONFLICT (code) DO UPDATE SET label = 'x'",
            {"shop_shelf"},
        ),
        (
            "MERGE INTO shop_shelf USING shop_author ON name = code WHEN MATCHED THEN DELETE",
            {"shop_shelf", "shop_author"},
        ),
        ("DO $$ BEGIN DELETE FROM shop_shelf; END $$", {"shop_shelf"}),
        ("SELECT 1; DELETE FROM shop_shelf", {"shop_shelf"}),
        ("EXPLAIN ANALYZE DELETE FROM shop_shelf", {"shop_shelf"}),
    ):
        told = after(lambda statement=statement: execute(postgres_db, statement))
        assert told == dict.fromkeys(expected), statement
