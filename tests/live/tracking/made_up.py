"""Queries and statements at random, in the shapes that the ORM writes and in many that only people do."""

from __future__ import annotations

from random import Random

COLUMNS = {
    "shop_author": ("id", "name", "seen"),
    "shop_book": ("id", "title", "author_id", "editor_id", "price"),
    "shop_shelf": ("code", "label"),
}
NUMBERS = {"id", "seen", "author_id", "editor_id", "price"}
WORDS = ["a", "b", "A", "shop_book", "delete from shop_author", "it''s", "1", "--", "/* select"]


class Text:
    """A piece of SQL with its parameters."""

    def __init__(self, sql: str, *params: object) -> None:
        self.sql = sql
        self.params = params

    def __repr__(self) -> str:
        return f"{self.sql!r} with {self.params!r}"

    def __add__(self, other: Text | str) -> Text:
        other = other if isinstance(other, Text) else Text(other)
        return Text(self.sql + other.sql, *self.params, *other.params)

    def __radd__(self, other: str) -> Text:
        return Text(other) + self


def joined(by: str, parts: list[Text]) -> Text:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + by + part
    return whole


class Maker:
    """``odd`` is how often (of one) what no ORM writes is written."""

    def __init__(self, random: Random, odd: float) -> None:
        self._random = random
        self._odd = odd

    def table(self) -> str:
        return self._random.choice(list(COLUMNS))

    def one_of(self, *choices: object) -> object:
        return self._random.choice(choices)

    def oddly(self) -> bool:
        return self._random.random() < self._odd

    def name(self, text: str) -> str:
        if not self.oddly():
            return self.one_of(text, f'"{text}"')
        spelled = self.one_of(text.upper(), f'"{text.upper()}"', f"`{text}`", f"main.{text}")
        return spelled + self.one_of("", " /* or */", " --;\n")

    def value(self, column: str) -> Text:
        value = self._random.randrange(4) if column in NUMBERS else self.one_of(*WORDS)
        if not self.oddly():
            return Text("%s", value)
        if column in NUMBERS:
            return self.one_of(Text("%s", str(value)), Text(str(value)), Text("%s + 0", value))
        return self.one_of(Text(f"'{value}'"), Text("lower(%s)", value), Text("(%s)", value))

    def condition(self, table: str, alias: str, depth: int = 0) -> Text:
        kinds = ["key"] * 4 + ["keys"] * 2 + ["equal"] * 2 + ["exists", "subquery", "null"]
        if depth < 3:
            kinds += ["and"] * 5 + ["or", "not", "parens"] * 2
        if self.oddly():
            kinds = ["between", "and between", "case", "other", "less", "row"]
        return getattr(self, "_" + self._random.choice(kinds).replace(" ", "_"))(
            table, alias, depth
        )

    def column(self, table: str, alias: str) -> tuple[str, str]:
        column = self._random.choice(COLUMNS[table])
        return column, f"{alias}.{self.name(column)}" if self._random.random() < 0.9 else column

    def key(self, table: str, alias: str) -> tuple[str, str]:
        column = COLUMNS[table][0]
        return column, f"{alias}.{self.name(column)}" if self._random.random() < 0.9 else column

    def _key(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.key(table, alias)
        return f"{full} = " + self.value(column)

    def _keys(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.key(table, alias)
        values = [self.value(column) for _ in range(self._random.randrange(1, 4))]
        return f"{full} IN (" + joined(", ", values) + ")"

    def _row(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.key(table, alias)
        return f"({full}, 1) IN (VALUES (" + self.value(column) + ", 1))"

    def _equal(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.column(table, alias)
        return f"{full} = " + self.value(column)

    def _less(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.column(table, alias)
        return f"{full} < " + self.value(column)

    def _null(self, table: str, alias: str, depth: int) -> Text:
        return Text(f"{self.column(table, alias)[1]} IS NOT NULL")

    def _between(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.column(table, alias)
        return f"{full} BETWEEN " + self.value(column) + " AND " + self.value(column)

    def _and_between(self, table: str, alias: str, depth: int) -> Text:
        column, full = self.column(table, alias)
        return f"{full} BETWEEN " + self.value(column) + " AND " + self._key(table, alias, depth)

    def _and(self, table: str, alias: str, depth: int) -> Text:
        parts = [self.condition(table, alias, depth + 1), self._key(table, alias, depth)]
        self._random.shuffle(parts)
        return joined(" AND ", parts)

    def _or(self, table: str, alias: str, depth: int) -> Text:
        return joined(" OR ", [self.condition(table, alias, depth + 1) for _ in range(2)])

    def _not(self, table: str, alias: str, depth: int) -> Text:
        return "NOT " + self.condition(table, alias, depth + 1)

    def _parens(self, table: str, alias: str, depth: int) -> Text:
        return "(" + self.condition(table, alias, depth + 1) + ")"

    def _case(self, table: str, alias: str, depth: int) -> Text:
        one, two = (self.condition(table, alias, 3) for _ in range(2))
        return "CASE WHEN 1 AND " + one + " AND 1 THEN " + two + " ELSE 1 END"

    def _other(self, table: str, alias: str, depth: int) -> Text:
        by = self.one_of(" = ", " || ", " IS ", " | ", " <> ", " IS NOT ")
        return self.condition(table, alias, 3) + by + self.condition(table, alias, 3)

    def _exists(self, table: str, alias: str, depth: int) -> Text:
        other = self.table()
        own = self.one_of(other, "u", alias)
        inner = self.condition(other, own, 3) + " AND " + self._key(table, alias, 3)
        return f"EXISTS (SELECT 1 FROM {other} {own} WHERE " + inner + ")"

    def _subquery(self, table: str, alias: str, depth: int) -> Text:
        other = self.table()
        own = self.one_of(other, "u", alias)
        full = f"{alias}.{COLUMNS[table][0]}"
        select = f"{full} IN (SELECT {own}.{COLUMNS[other][0]} FROM {other} {own} WHERE "
        return select + self.condition(other, own, 3) + ")"

    def source(self) -> tuple[str, str, str]:
        """FROM, and one of its tables with the name that it has there."""
        table, other = self.table(), self.table()
        spelled = self.name(table)
        if self._random.random() < 0.5:
            return spelled, table, table
        on = f"{table}.{COLUMNS[table][0]} = y.{COLUMNS[other][0]}"
        origins = [
            (f"{spelled} AS x", "x"),
            (f"{spelled} {other}", other),
            (f"{spelled}, {other} y", table),
            (f"{spelled}, {other}", table),
            (f"{other} y, {spelled}", table),
            (f"(SELECT * FROM {spelled}) {table}", table),
            (f"(SELECT * FROM {spelled} LIMIT 2) y, {other} {table}", table),
            (f"{spelled} LEFT JOIN {other} y ON {on}", table),
            (f"{other} y LEFT JOIN {spelled} ON {on}", table),
            (f"{spelled} JOIN {other} ON 1 = 1", other),
        ]
        origin, alias = self._random.choice(origins)
        return (
            origin,
            table if alias != other or "(" in origin else self.of(origin, table, other),
            alias,
        )

    def of(self, origin: str, table: str, other: str) -> str:
        return other if " JOIN " in origin else table

    def query(self, depth: int = 0) -> Text:
        origin, table, alias = self.source()
        what = "*"
        if self.oddly():
            what = self.one_of("count(*)", f"{alias}.*", "(SELECT count(*) FROM shop_author)", "1")
        select = Text(f"{self.one_of('SELECT', 'select', 'SELECT DISTINCT')} {what} FROM {origin}")
        if self._random.random() < 0.9:
            select = select + " WHERE " + self.condition(table, alias)
        if self.oddly():
            select = select + self.one_of(
                " LIMIT 2", " GROUP BY 1", " ORDER BY 1 DESC", Text(" ORDER BY 1 LIMIT %s", 2)
            )
        if depth == 0 and self.oddly():
            select = select + self.one_of(" UNION ", " EXCEPT ", " INTERSECT ") + self.query(1)
        if depth == 0 and self.oddly():
            select = "WITH w AS (" + select + ") SELECT * FROM w"
        return select

    def statement(self) -> Text:
        table = self.table()
        return self.one_of(self._insert, self._update, self._update, self._delete)(table)

    def _insert(self, table: str) -> Text:
        columns = COLUMNS[table][self._random.randrange(2) if "id" in COLUMNS[table] else 0 :]
        verb = "INSERT"
        if self.oddly():
            verb = self.one_of("INSERT OR REPLACE", "INSERT OR IGNORE", "REPLACE")
        text = Text(f"{verb} INTO {self.name(table)} ({', '.join(columns)}) VALUES ")
        rows = [
            "(" + joined(", ", [self.value(column) for column in columns]) + ")"
            for _ in range(self._random.randrange(1, 3))
        ]
        text = text + joined(", ", rows)
        if table == "shop_shelf" and self.oddly():
            text = text + " ON CONFLICT (code) DO UPDATE SET label = label || 'x'"
        return text + self.one_of("", f" RETURNING {COLUMNS[table][0]}")

    def _update(self, table: str) -> Text:
        columns = self._random.sample(COLUMNS[table], self._random.randrange(1, 3))
        text = f"UPDATE {self.name(table)} SET "
        text += joined(", ", [f"{column} = " + self.value(column) for column in columns])
        return self._where(text, table)

    def _delete(self, table: str) -> Text:
        return self._where(Text(f"DELETE FROM {self.name(table)}"), table)

    def _where(self, text: Text, table: str) -> Text:
        if self._random.random() < 0.1:
            return text
        return text + " WHERE " + self.condition(table, table, self._random.randrange(4))
