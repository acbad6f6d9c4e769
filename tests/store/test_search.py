# ruff: noqa: RUF001  names in twelve scripts look like one another
"""What a search finds, and in which order, beside a plain reading of the same words in Python.

Names are in twelve scripts; the database is one with LC_CTYPE=C, where PostgreSQL's own means
drop every letter that is not ASCII, and one that knows all letters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text as text_

from graph.app import create_app
from graph.database.connect import connected, state_of
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.settings import ExecutionMode
from graph.store.models import Customer, Item
from tests.conftest import administer, client_of, settings_for
from tests.rows import a_customer, an_item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.embedded import Cluster
    from tests.conftest import Client

NAMES = (
    *("José Álvarez", "Jose Alvarez", "Joseph Alvar", "Zürich Straße", "Zurich Strasse"),
    *("Søren Ångström", "Soren Angstrom", "Łukasz Żółć", "Lukasz Zolc", "İpek Işık", "Þórr Ægir"),
    *("Ása Ek", "Asa Ek", "Conor O’Brien", "Nguyễn Văn An", "Ǆemal ﬁlip"),
    *("Иван Йогурт", "Иван Иогурт", "Ивана Ёлкина", "Дмитрий Елкин", "ЖАННА ЩУКИНА"),
    *("Σίσυφος Παππάς", "ΣΙΣΥΦΟΣ ΠΑΠΠΑΣ", "Οδυσσεύς Μέγας"),
    *("محمد الأحمد", "مُحَمَّد الاحمد", "שָׁלוֹם כהן", "שלום לוי"),
    *("हिन्दी शर्मा", "नमस्ते वर्मा", "สมชาย ใจดี", "สมหญิงใจดี"),
    *("東京都新宿区", "新宿 太郎", "やまだ はなこ", "ヤマダ ﾊﾅｺ", "がくせい かくせい"),
    *("김민준 이서연", "김민지 박서준", "Հայկ Պետրոսյան", "გიორგი ბერიძე", "ᲒᲘᲝᲠᲒᲘ ᲑᲔᲠᲘᲫᲔ"),
    *("❤️ Heart", "!? ()", "Ⓐⓑⓒ ４２"),
)
BLANK_OR_SIGNS = ("", " ", "\t\n\u3000", "!?", "❤️", "' \" \\ : * & | ( ) ! <->", "\u0301", "\u200b")
LANGUAGES_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI")
LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"} | dict(
    zip("øđðłıħŧŋ", "oddlihtn", strict=True)
)


def words_of(text: str) -> list[str]:
    lower = unicodedata.normalize("NFKD", text).lower().replace("ς", "σ")
    parts = []
    for each in unicodedata.normalize("NFKC", lower):
        category = unicodedata.category(each)
        if category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(each, ""):
            continue
        parts.append(each if category[0] in "LNM" else " ")
    return "".join(parts).split()


def without_accents(word: str) -> str:
    plain = ""
    for each in unicodedata.normalize("NFD", word):
        name = unicodedata.name(each, "")
        script = name.split()[0]
        is_mark = unicodedata.category(each) == "Mn" and "KATAKANA" not in name
        if not (is_mark and script in {"COMBINING", "HEBREW", "ARABIC"}):
            plain += LETTERS.get(each, each)
    return plain


def shortened(word: str) -> set[str]:
    """The word without one of its letters, if it is of a length that may be misspelled."""
    may_be = 4 <= len(word) <= 32
    return {word[:nth] + word[nth + 1 :] for nth in range(len(word))} if may_be else set()


def tier_of(wanted: str, words: list[str]) -> int:
    """How well one word is found among others: 5 as it is spelled, ..., 1 misspelled; 0 not."""
    plain = without_accents(wanted)
    known = [without_accents(word) for word in words]
    ends = {
        word[nth:]
        for word in known
        if any(unicodedata.name(c, "").startswith(LANGUAGES_WITHOUT_SPACES) for c in word)
        for nth in range(len(word))
    } | set(known)
    if wanted in words:
        return 5
    if plain in ends:
        return 4
    if any(word.startswith(wanted) for word in words):
        return 3
    if any(end.startswith(plain) for end in ends):
        return 2
    less = shortened(plain)
    near = less & ends or any(
        plain in shortened(word) or less & shortened(word) for word in known if less
    )
    return 1 if near else 0


def rank_of(text: str, document: str) -> int:
    """The tier of the word that is found worst; 0 if any is not found, or there is none."""
    wanted = [word for word in words_of(text) if without_accents(word)]
    words = words_of(document)
    return min((tier_of(word, words) for word in wanted), default=0)


@dataclass
class Store:
    """A store of the names, on which both ways of execution work."""

    clients: tuple[Client, ...]
    documents: dict[tuple[str, int], str]

    def expected(self, text: str) -> list[tuple[str, int]]:
        ranks = {key: rank_of(text, document) for key, document in self.documents.items()}
        return sorted((key for key, rank in ranks.items() if rank), key=lambda k: (-ranks[k], k))

    async def found(self, text: str) -> list[list[tuple[str, int]]]:
        return [[*await walk(client, text, page=100)] for client in self.clients]


async def walk(client: Client, text: str, page: int) -> list[tuple[str, int]]:
    """All that a text finds, page by page."""
    query = """query ($text: String!, $first: Int, $after: String) {
        search(text: $text, first: $first, after: $after) {
            totalCount pageInfo { hasNextPage endCursor }
            nodes { __typename ... on Customer { databaseId } ... on Item { databaseId } } } }"""
    met: list[tuple[str, int]] = []
    after, goes_on, total = None, True, 0
    while goes_on:
        found = (await client(query, text=text, first=page, after=after))["search"]
        met += [(node["__typename"], int(node["databaseId"])) for node in found["nodes"]]
        after, goes_on = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        total = found["totalCount"]
    assert total == len(met)
    return met


# The revision before the one that this is about, and what earlier databases have at it.
MIGRATION = import_module("graph.store.migrations.versions.0009_search")
BEFORE: str = MIGRATION.down_revision
OLD_INDEXES = (
    MIGRATION.EXTENSION,
    *(f"CREATE INDEX {name} ON {index}" for name, index in MIGRATION.OLD.items()),
)
LOCALES = {
    "C": "LOCALE_PROVIDER libc LOCALE 'C'",
    "C.UTF-8": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C.UTF-8'",
}


@pytest.fixture(params=LOCALES)
async def foreign_url(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """An empty database of one locale."""
    name = f"search_{request.param.replace('.', '_').replace('-', '_').lower()}"
    await administer(cluster, f"CREATE DATABASE {name} TEMPLATE template0 {LOCALES[request.param]}")
    yield cluster.url(name)
    await administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(foreign_url: str) -> AsyncIterator[Store]:
    database = Database.connect(settings_for(foreign_url))
    await migrate(database)
    await write(database)
    documents = await documents_of(database)
    await database.close()
    apps = [create_app(settings_for(foreign_url, execution=mode)) for mode in ExecutionMode]
    async with client_of(apps[0]) as one, client_of(apps[1]) as other:
        yield Store((one, other), documents)


async def write(database: Database) -> None:
    async with database.write() as session:
        for number, name in enumerate(NAMES, 1):
            customer, item = a_customer(number), an_item(number)
            customer.first_name, _, customer.last_name = name.partition(" ")
            customer.town = "Ort"
            item.name = unicodedata.normalize("NFD", name)
            session.add_all((customer, item))


async def documents_of(database: Database) -> dict[tuple[str, int], str]:
    async with database.engine.connect() as connection:
        customers = await connection.execute(Customer.__table__.select())
        items = await connection.execute(Item.__table__.select())
        return {
            **{
                ("Customer", row.id): (
                    f"{row.first_name} {row.last_name} {row.username} {row.email} {row.town}"
                )
                for row in customers
            },
            **{("Item", row.id): row.name for row in items},
        }


def queries() -> Iterator[str]:
    """What a person may type for each name."""
    for name in NAMES:
        yield from (name, name.upper(), unicodedata.normalize("NFD", name))
        yield without_accents(unicodedata.normalize("NFC", name).lower())
        for word in name.split():
            half = len(word) // 2
            yield from (word, word[:2], word[:-1], word[1:], word[half:])
            yield word[:half] + word[half + 1 :]  # a letter is missing
            yield word[:half] + word[half : half + 1] * 2 + word[half + 1 :]  # one too many
            yield word[:half] + "x" + word[half + 1 :]  # one wrong
            yield word[: half - 1] + word[half - 1 : half + 1][::-1] + word[half + 1 :]  # swapped


async def test_names_of_twelve_scripts_are_found_as_they_should_be(store: Store) -> None:
    many = "user user1 example com ort a b c d e"
    for text in dict.fromkeys((*queries(), *BLANK_OR_SIGNS, many)):
        expected = store.expected(text)
        for found in await store.found(text):
            assert found == expected, text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Jose", ["Jose Alvarez", "José Álvarez", "Joseph Alvar"]),
        ("José", ["José Álvarez", "Jose Alvarez", "Joseph Alvar"]),
        ("Zurich", ["Zurich Strasse", "Zürich Straße"]),
        ("strasse", ["Zurich Strasse", "Zürich Straße"]),
        ("STRASSE", ["Zurich Strasse", "Zürich Straße"]),
        ("straße", ["Zürich Straße", "Zurich Strasse"]),
        ("Ása", ["Ása Ek", "Asa Ek"]),
        ("Димтрий", ["Дмитрий Елкин"]),
        ("жанна", ["ЖАННА ЩУКИНА"]),
        ("新宿", ["新宿 太郎", "東京都新宿区"]),
        ("ใจดี", ["สมชาย ใจดี", "สมหญิงใจดี"]),
        ("김ㅁ", ["김민준 이서연", "김민지 박서준"]),  # half a syllable
        ("김민", ["김민준 이서연", "김민지 박서준"]),
    ],
)
async def test_spelling_comes_first_then_accents_then_errors(
    store: Store, text: str, names: list[str]
) -> None:
    for found in await store.found(text):
        customers = [NAMES[key - 1] for entity, key in found if entity == "Customer"]
        assert customers == names


async def test_pages_of_any_size_have_every_hit_once(store: Store) -> None:
    whole = await walk(store.clients[0], "user", page=100)

    assert len(whole) == len(NAMES)
    for client in store.clients:
        for page in (1, 7):
            assert await walk(client, "user", page=page) == whole


async def test_a_filter_finds_and_ranks_as_the_search_of_everything_does(store: Store) -> None:
    query = """query ($text: String!) { customers(
        where: {search: $text}, orderBy: [{rank: DESC}, {databaseId: ASC}], first: 100
    ) { nodes { databaseId } } }"""
    for text in ("Jose", "Иван", "新宿", "o", "user1", "!?"):
        expected = [key for entity, key in store.expected(text) if entity == "Customer"]
        for client in store.clients:
            nodes = (await client(query, text=text))["customers"]["nodes"]
            assert [int(node["databaseId"]) for node in nodes] == expected, text


async def test_blank_text_is_no_condition_and_signs_find_nothing(store: Store) -> None:
    query = """query ($where: CustomerWhere!) {
        customers(where: $where, orderBy: [{rank: DESC}]) { totalCount nodes { databaseId } } }"""
    for client in store.clients:
        for text in ("", "  ", "\u3000"):
            found = (await client(query, where={"search": text}))["customers"]
            assert found["totalCount"] == len(NAMES)
            assert found["nodes"][0]["databaseId"] in {1, "1"}
        for text in ("!?", "❤️", "\u200b", "\u0301"):
            assert (await client(query, where={"search": text}))["customers"]["totalCount"] == 0


async def test_more_words_than_eight_are_fine(store: Store) -> None:
    text = " ".join(["jose", *"abcdefghijklmnopqrstuvwxyz"])
    for client in store.clients:
        assert await walk(client, f"{text} {text}", page=5) == []


async def test_the_doctor_says_where_case_is_known_of_ascii_only(foreign_url: str) -> None:
    settings = settings_for(foreign_url)
    async with connected(settings) as database:
        await migrate(database)
        state = await state_of(database, settings)

    knows_letters = "c_utf_8" in foreign_url
    assert any("LC_CTYPE" in line for line in state.lines) is not knows_letters


async def test_rows_of_before_are_found_and_the_indexes_of_before_are_gone(
    empty_url: str,
) -> None:
    indexes = "SELECT indexname FROM pg_indexes WHERE indexname ~ 'words|trigrams|search'"
    database = Database.connect(settings_for(empty_url))
    await migrate(database, BEFORE)
    async with database.engine.begin() as connection:
        for statement in OLD_INDEXES:
            await connection.execute(text_(statement))
    await write(database)
    await migrate(database)

    async with database.engine.connect() as connection:
        names = set((await connection.scalars(text_(indexes))).all())
    assert names == {"customers_search_idx", "items_search_idx"}
    async with client_of(create_app(settings_for(empty_url))) as client:
        assert ("Customer", NAMES.index("Иван Йогурт") + 1) in await walk(client, "йогурт", page=9)
    await migrate(database, BEFORE)
    async with database.engine.connect() as connection:
        names = set((await connection.scalars(text_(indexes))).all())
    assert len(names) == len(OLD_INDEXES) - 1
    await database.close()


async def test_a_changed_row_is_found_by_its_new_words(store: Store) -> None:
    client: Any = store.clients[0]
    async with client.database.write() as session:
        (await session.get_one(Item, 1)).name = "Ünïcode Kettle"

    assert await walk(client, "unicode", page=5) == [("Item", 1)]
    assert ("Item", 1) not in await walk(client, "Álvarez", page=100)
