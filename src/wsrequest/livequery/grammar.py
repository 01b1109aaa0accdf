"""The little of SQL's grammar by which rows are told apart, in texts that are plain.

Each function gives None where a text is not of exactly the shape that it knows, which are those that the ORM writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsrequest.push.rows import MOST_ROWS

#: What a text has that is not plain: strings, comments, escapes, placeholders with names.
_NOT_PLAIN = re.compile(r"['\\#;$]|--|/\*|%(?!s)")
_TOKEN = re.compile(r"""%s|"[^"]+"|`[^`]+`|\w+|::|\S""")
_NAME = re.compile(r"""["`]?(?:[^"`]*\.)?([^"`.]+)["`]?""")

#: After these words the condition is over.
_ENDS = frozenset(
    "group order having limit offset for returning window fetch union intersect except lock".split()
)
#: With one of these in it, a query has parts that need not obey its condition.
_COMPOUND = frozenset({"union", "intersect", "except", "minus", "connect"})
#: These bind less than AND does, or have an AND of their own.
_LOOSE = frozenset({"or", "xor", "between", "case"})
#: What binds more.
_TIGHT = frozenset("=<>!.,()+-*/") | {"%s", "::"}
_QUERIES = frozenset({"select", "values", "with", "table"})


class Tokens:
    """A plain text, in lower case. A parenthesis has the depth of what is around it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.depths: list[int] = []
        #: Where the parenthesis that is opened at an index is closed.
        self.closed: dict[int, int] = {}
        #: How many placeholders stand before an index.
        self.before: list[int] = []
        opened: list[int] = []
        count = 0
        for index, text in enumerate(texts):
            if text == ")" and opened:
                self.closed[opened.pop()] = index
            self.depths.append(len(opened))
            self.before.append(count)
            if text == "(":
                opened.append(index)
            elif text == "%s":
                count += 1
        self.parameters = count
        self.balanced = not opened and len(self.closed) == texts.count(")")

    def name(self, index: int) -> str | None:
        """Of a table or column, whether it is quoted or not."""
        match = _NAME.fullmatch(self.texts[index]) if index < len(self.texts) else None
        return match[1] if match else None

    def find(self, word: str, start: int = 0) -> int | None:
        """Where this word stands outside of all parentheses, if it does so once."""
        found = [
            index
            for index in range(start, len(self.texts))
            if self.texts[index] == word and not self.depths[index]
        ]
        return found[0] if len(found) == 1 else None

    def split(self, start: int, end: int, by: str) -> Iterator[tuple[int, int]]:
        """The parts of a stretch between words of its own depth."""
        depth = self.depths[start] if start < end else 0
        begun = start
        for index in range(start, end):
            if self.texts[index] == by and self.depths[index] == depth:
                yield begun, index
                begun = index + 1
        yield begun, end

    def dotted(self, start: int) -> tuple[str | None, int]:
        """The last part of the name that begins here, and what comes after it."""
        while self.texts[start + 1 : start + 2] == ["."]:
            start += 2
        return self.name(start), start + 1


def tokens_in(text: str) -> Tokens | None:
    """Of a text in lower case; None where it is not plain."""
    if _NOT_PLAIN.search(text):
        return None
    tokens = Tokens(_TOKEN.findall(text))
    # A placeholder may hide in a name.
    return tokens if tokens.balanced and tokens.parameters == text.count("%s") else None


class Conditions:
    """What the WHERE of a statement demands of primary keys."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._pinned: dict[tuple[str | None, str | None], Sequence[int]] = {}
        self._where = tokens.find("where")
        if self._where is None or not _COMPOUND.isdisjoint(tokens.texts):
            return
        end = self._where + 1
        while end < len(tokens.texts) and (tokens.depths[end] or tokens.texts[end] not in _ENDS):
            end += 1
        for start, stop in self._demands(self._where + 1, end):
            self._note(start, stop)

    def keys(self, table: str, key: str) -> Sequence[int] | None:
        """The parameters of which each row of the table that matters has one as its key; None: there is no such
        demand."""
        indices = self._pinned.get((table, key)) if key else None
        if indices is None or not self._is_alone(table):
            return None
        return indices

    def _is_alone(self, table: str) -> bool:
        """Whether it stands in the statement itself, and nowhere else but before its columns."""
        tokens = self._tokens
        found = [
            index
            for index in range(len(tokens.texts))
            if tokens.name(index) == table and tokens.texts[index + 1 : index + 2] != ["."]
        ]
        return len(found) == 1 and not tokens.depths[found[0]] and found[0] < (self._where or 0)

    def _demands(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What all has to be true."""
        tokens = self._tokens
        ahead = [(start, end)]
        while ahead:
            start, end = ahead.pop()
            while start < end and tokens.closed.get(start) == end - 1:
                start, end = start + 1, end - 1
            if start >= end or tokens.texts[start] in _QUERIES or self._is_loose(start, end):
                continue
            parts = list(tokens.split(start, end, "and"))
            if len(parts) == 1:
                yield start, end
            else:
                ahead += parts

    def _is_loose(self, start: int, end: int) -> bool:
        tokens = self._tokens
        depth = tokens.depths[start]
        own = {tokens.texts[at] for at in range(start, end) if tokens.depths[at] == depth}
        return any(each in _LOOSE or not (each in _TIGHT or _is_name(each)) for each in own)

    def _note(self, start: int, end: int) -> None:
        """``table.key = %s`` or ``table.key IN (%s, ...)``, with any parentheses (Django has ``(key) IN ((%s))``)."""
        tokens = self._tokens
        at = [index for index in range(start, end) if tokens.texts[index] not in "()"]
        texts = [tokens.texts[index] for index in at]
        if len(at) < 5 or texts[1] != ".":
            return
        values = texts[4:]
        expected = ["%s", ","] * (len(values) // 2) + ["%s"]
        if values == expected and (texts[3] == "in" or (texts[3] == "=" and len(values) == 1)):
            first = tokens.before[at[4]]
            indices = range(first, first + len(values) // 2 + 1)
            self._pinned.setdefault((tokens.name(at[0]), tokens.name(at[2])), indices)


@dataclass(frozen=True, slots=True)
class Values:
    """What an INSERT gives: how many rows, and which parameters are their keys, where it gives those."""

    rows: int
    keys: Sequence[int] | None


def values_in(tokens: Tokens, key: str) -> Values | None:
    """Of ``INSERT INTO table (columns) VALUES (...), ...``."""
    texts = tokens.texts
    start = texts.index("into") + 1
    _, opened = tokens.dotted(start)
    if opened not in tokens.closed or not key:
        return None
    closed = tokens.closed[opened]
    columns = [tokens.name(first) for first, _ in tokens.split(opened + 1, closed, ",")]
    begun = closed + 1
    if texts[begun : begun + 1] == ["overriding"]:
        begun += 3
    if texts[begun : begun + 1] != ["values"]:
        return None
    rows = list(_rows(tokens, begun + 1))
    if not 0 < len(rows) <= MOST_ROWS or any(len(row) != len(columns) for row in rows):
        return None
    if key not in columns:
        return Values(len(rows), None)
    at = columns.index(key)
    given = [list(texts[slice(*row[at])]) for row in rows]
    if all(each == ["%s"] for each in given):
        return Values(len(rows), [tokens.before[row[at][0]] for row in rows])
    made = all(each in (["null"], ["default"]) for each in given)
    return Values(len(rows), None) if made else None


def _rows(tokens: Tokens, start: int) -> Iterator[list[tuple[int, int]]]:
    while start in tokens.closed:
        closed = tokens.closed[start]
        yield list(tokens.split(start + 1, closed, ","))
        start = closed + 1
        if tokens.texts[start : start + 1] != [","]:
            return
        start += 1


def returned(tokens: Tokens, key: str) -> int | None:
    """Which of the columns that come back is this one."""
    begun = tokens.find("returning")
    if begun is None or "*" in tokens.texts[begun:]:
        return None
    for number, (start, end) in enumerate(tokens.split(begun + 1, len(tokens.texts), ",")):
        name, after = tokens.dotted(start)
        if name == key and after == end:
            return number
    return None


def assigned_in(tokens: Tokens) -> tuple[str | None, frozenset[str] | None]:
    """Of ``UPDATE table SET column = ...``: the table, and the columns, which may be unknown by themselves."""
    name, after = tokens.dotted(2 if tokens.texts[1:2] == ["only"] else 1)
    if tokens.texts[after : after + 1] != ["set"]:
        return None, None
    end = after + 1
    while end < len(tokens.texts) and (
        tokens.depths[end]
        or tokens.texts[end] not in ("where", "from", "returning", "order", "limit")
    ):
        end += 1
    columns = []
    for start, stop in tokens.split(after + 1, end, ","):
        column, equal = tokens.dotted(start)
        if column is None or equal >= stop or tokens.texts[equal] != "=":
            return name, None
        columns.append(column)
    return name, frozenset(columns)


def deleted_from(tokens: Tokens) -> str | None:
    """Of ``DELETE FROM table WHERE ...``: the table."""
    if tokens.texts[1:2] != ["from"]:
        return None
    name, after = tokens.dotted(3 if tokens.texts[2:3] == ["only"] else 2)
    ends = after == len(tokens.texts) or tokens.texts[after] in ("where", "returning")
    return name if ends else None


def _is_name(text: str) -> bool:
    return text[0] in '"`' or text.replace("_", "a").isalnum()
