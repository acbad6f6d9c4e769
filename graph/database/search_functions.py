r"""The SQL functions that a search is made of; they say the same whatever the database's locale.

    graph_lower(text)               lower case of every script
    graph_search_spelled(text)      the words as they are written, in lower case, one space between
    graph_search_folded(words)      the same words without accents: as many, in the same order
    graph_search_document(text)     the lexemes under which a row is found
    graph_search_query(text, tier)  what finds the rows of a tier, and of the better ones

PostgreSQL's own means see letters through LC_CTYPE: where that is C, `pg_trgm` drops each one
that is not ASCII, `lower` leaves it alone, `\w` does not match it. Here letters are known by their
code points, and a typing error is found without trigrams: **two words differ by one letter that is
wrong, missing, too many or moved, if leaving out a letter of either or of both makes them equal.**
So a document has these lexemes for each word:

    =josé     the word as it is spelled
    jose      without accents; in scripts that put no spaces between words, each of its ends too
    -ose -jse -joe -jos     without accents, and without one letter

All of them are looked up in one GIN index; none is computed when a row is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import DDL, event

if TYPE_CHECKING:
    from sqlalchemy import MetaData

# A lexeme has at most 2,046 bytes. Longer words are found by so many of their first characters.
WORD_CHARACTERS = 64
# Words of these lengths, without accents, may have a typing error.
SHORTEST_MISSPELLED = 4
LONGEST_MISSPELLED = 32

# What a row was found by, the best first; a tier's query finds the rows of the better ones too.
WHOLE_WORD, WHOLE_WORD_UNACCENTED, BEGINNING, BEGINNING_UNACCENTED, MISSPELLED = 5, 4, 3, 2, 1

# What stands between words: each character of text in NFKC that is no letter, digit or mark. The
# punctuation of scripts that nobody writes any more is missing.
_SEPARATORS = (
    # ASCII and Latin-1
    r"\u0001-/:-@\[-`{-\u00ac\u00ae-\u00bf\u00d7\u00f7"
    # modifier symbols, Greek, Cyrillic, Armenian, Hebrew
    r"\u02c2-\u02c5\u02d2-\u02eb\u02ed\u02ef-\u02ff\u0375\u03f6\u0482\u055a-\u055f\u0589-\u058f"
    r"\u05be\u05c0\u05c3\u05c6\u05f3\u05f4"
    # Arabic, Syriac, NKo
    r"\u0606-\u060f\u061b\u061d-\u061f\u066a-\u066d\u06d4\u06de\u06e9\u06fd\u06fe\u0700-\u070d"
    r"\u07f6-\u07f9\u07fe\u07ff"
    # India, Ceylon
    r"\u0964\u0965\u0970\u09f2\u09f3\u09fa\u09fb\u09fd\u0a76\u0af0\u0af1\u0b70\u0bf3-\u0bfa\u0c77"
    r"\u0c7f\u0c84\u0d4f\u0d79\u0df4\ua830-\ua839\ua8f8-\ua8fa\ua8fc"
    # Thai, Tibetan, Burmese, Georgian, Ethiopic, Cherokee and Canadian, Khmer, Mongolian, Lao, Bali
    r"\u0e3f\u0e4f\u0e5a\u0e5b\u0f01-\u0f17\u0f1a-\u0f1f\u0f34\u0f36\u0f38\u0f3a-\u0f3d\u0f85"
    r"\u0fbe-\u0fc5\u0fc7-\u0fda\u104a-\u104f\u109e\u109f\u10fb\u1360-\u1368\u1390-\u1399\u1400"
    r"\u166d\u166e\u1680\u169b\u169c\u16eb-\u16ed\u1735\u1736\u17d4-\u17d6\u17d8-\u17db"
    r"\u1800-\u180a\u1940-\u1945\u19de-\u19ff\u1a1e\u1a1f\u1b5a-\u1b6a\u1b74-\u1b7e\ua9c1-\ua9cd"
    # punctuation, currencies, arrows, mathematics, shapes
    r"\u2000-\u200a\u2010-\u2029\u202f-\u205f\u20a0-\u20cf\u2104-\u212e\u213a-\u214d\u214f"
    r"\u218a-\u249b\u2500-\u2775\u2794-\u2bff\u2e00-\u2e2e\u2e30-\u2fff"
    # China, Japan, Korea, Yi
    r"\u3000-\u3004\u3008-\u3020\u3030\u3037\u303d-\u303f\u30a0\u30fb\u3190\u3191\u31c0-\u31e3"
    r"\u327f\u4dc0-\u4dff\ua490-\ua4c6\ua4fe\ua4ff"
    # what is left of the first plane; notes, pictures
    r"\ua673\ua67e\ua6f2-\ua716\ua720\ua721\ua789\ua78a\uab5b\uab6a\uab6b\uabeb\ue000-\uf8ff"
    r"\ufbb2-\ufbc2\ufd3e-\ufd4f\ufdcf\ufdfc-\ufdff\ufe45\ufe46\ufffc\ufffd"
    r"\U0001cf50-\U0001d15d\U0001d16a-\U0001d16c\U0001d183\U0001d184\U0001d18c-\U0001d1a9"
    r"\U0001d1ae-\U0001d241\U0001d245\U0001d300-\U0001d356\U0001eef0-\U0001efff"
    r"\U0001f000-\U0001fbef"
)
# What shows nothing and separates nothing: soft hyphens, joiners, directions, variants of glyphs.
_INVISIBLE = (
    r"\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
# Accents of Latin, Greek and Cyrillic, the points of Hebrew, the vowels of Arabic. The vowels of
# India and Thailand are no accents: a word without them is another.
_ACCENTS = (
    r"\u02b9-\u02c1\u02c6-\u02d1\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5"
    r"\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    r"\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f"
)
# Letters whose strokes and hooks Unicode has as part of them, and what they are without.
_STROKES = (
    "øđðħıłŧŋƀƃƈƌƒƙƚƞƥƫƭƴƶǥȡȥȴȵȶȷȼȿɀɇɉɋɍɏɓɖɗɠɨɫɲⱥⱦ",
    "oddhiltnbbcdfklnpttyzgdzlntjcszejqrybddgilnat",
)
_LIGATURES = (("ß", "ss"), ("æ", "ae"), ("œ", "oe"), ("þ", "th"))
# Scripts that put no spaces between words: Thai to Lao, Burmese, Khmer, kana, Han.
_WITHOUT_SPACES = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\U00020000-\U0003ffff]"
)

# Where a collation can be chosen, any that knows all scripts will do: they differ in nothing that
# remains when the text has been normalized.
_COLLATIONS = ("pg_c_utf8", "und-x-icu", "C.utf8", "C.UTF-8", "en_US.utf8", "en_US.UTF-8")

_PURE = "IMMUTABLE STRICT PARALLEL SAFE"


def _ligatures_of(text: str) -> str:
    for ligature, letters in _LIGATURES:
        text = f"replace({text}, '{ligature}', '{letters}')"
    return text


_LOWER = f"""
    DO $do$
    DECLARE
        known text := coalesce(
            (SELECT format('COLLATE pg_catalog.%I', collname) FROM pg_collation
             WHERE collnamespace = 'pg_catalog'::regnamespace AND collencoding IN (-1, 6)
                   AND collname = ANY (ARRAY{list(_COLLATIONS)})
             ORDER BY array_position(ARRAY{list(_COLLATIONS)}, collname::text) LIMIT 1),
            '');
    BEGIN
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION graph_lower(text) RETURNS text LANGUAGE sql {_PURE}'
            ' RETURN lower($1 %s)', known);
    END
    $do$
"""  # noqa: S608  constants
_SPELLED = f"""
    CREATE OR REPLACE FUNCTION graph_search_spelled(text) RETURNS text LANGUAGE sql {_PURE} COST 500
    RETURN CASE WHEN octet_length($1) = length($1)
        THEN btrim(regexp_replace(lower($1 COLLATE "C"), '[^a-z0-9]+', ' ', 'g'))
        ELSE btrim(regexp_replace(
            regexp_replace(
                translate(
                    normalize(graph_lower(normalize($1, NFKD)), NFKC) COLLATE "C",
                    '\u03c2', '\u03c3'),
                '[{_INVISIBLE}]+', '', 'g'),
            '[{_SEPARATORS}]+', ' ', 'g'))
        END
"""
_WITHOUT_ACCENTS = f"""regexp_replace(normalize($1, NFD) COLLATE "C", '[{_ACCENTS}]+', '', 'g')"""
_FOLDED = f"""
    CREATE OR REPLACE FUNCTION graph_search_folded(text) RETURNS text LANGUAGE sql {_PURE} COST 500
    RETURN CASE WHEN octet_length($1) = length($1) THEN $1
        ELSE translate(
            {_ligatures_of(_WITHOUT_ACCENTS)},
            '{_STROKES[0]}', '{_STROKES[1]}')
        END
"""
# Functions of this kind also run where the search path is empty: when an index is built or
# analyzed, since PostgreSQL 17. Loops, as a statement inside costs more to begin than all of them.
_LOOPS = f"LANGUAGE plpgsql {_PURE} COST 10000 SET search_path FROM CURRENT"
_MAY_BE_MISSPELLED = f"length(word) BETWEEN {SHORTEST_MISSPELLED} AND {LONGEST_MISSPELLED}"

# Its cost is known to the planner, so that it is never computed where the index has it.
_DOCUMENT = f"""
    CREATE OR REPLACE FUNCTION graph_search_document(text) RETURNS tsvector {_LOOPS} AS $body$
    DECLARE
        words text := graph_search_spelled($1);
        word text;
        lexemes text[] := '{{}}';
    BEGIN
        FOREACH word IN ARRAY string_to_array(words, ' ') LOOP
            lexemes := lexemes || ('=' || left(word, {WORD_CHARACTERS}));
        END LOOP;
        FOREACH word IN ARRAY string_to_array(graph_search_folded(words), ' ') LOOP
            CONTINUE WHEN word = '';
            lexemes := lexemes || left(word, {WORD_CHARACTERS});
            IF octet_length(word) > length(word) AND word COLLATE "C" ~ '{_WITHOUT_SPACES}' THEN
                FOR nth IN 2 .. length(word) LOOP
                    lexemes := lexemes || substr(word, nth, {WORD_CHARACTERS});
                END LOOP;
            END IF;
            IF {_MAY_BE_MISSPELLED} THEN
                FOR nth IN 1 .. length(word) LOOP
                    lexemes := lexemes || ('-' || overlay(word PLACING '' FROM nth FOR 1));
                END LOOP;
            END IF;
        END LOOP;
        RETURN array_to_tsvector(lexemes);
    END
    $body$
"""
# No lexeme has a quote or a backslash in it. Text without words has no query: NULL finds nothing.
_QUERY = f"""
    CREATE OR REPLACE FUNCTION graph_search_query(text, tier integer) RETURNS tsquery {_LOOPS}
    AS $body$
    DECLARE
        spelled text[] := string_to_array(graph_search_spelled($1), ' ');
        folded text[] := string_to_array(graph_search_folded(graph_search_spelled($1)), ' ');
        word text;
        exact text;
        lexemes text;
        terms text;
    BEGIN
        FOR nth IN 1 .. cardinality(folded) LOOP
            CONTINUE WHEN folded[nth] = '';
            exact := '''=' || left(spelled[nth], {WORD_CHARACTERS}) || '''';
            word := left(folded[nth], {WORD_CHARACTERS});
            lexemes := CASE tier
                WHEN {WHOLE_WORD} THEN exact
                WHEN {WHOLE_WORD_UNACCENTED} THEN '''' || word || ''''
                WHEN {BEGINNING} THEN '''' || word || '''|' || exact || ':*'
                ELSE '''' || word || ''':*'
            END;
            IF tier = {MISSPELLED} AND {_MAY_BE_MISSPELLED} THEN
                lexemes := lexemes || '|''-' || word || '''';
                FOR letter IN 1 .. length(word) LOOP
                    lexemes := lexemes || replace(
                        '|''?''|''-?''', '?', overlay(word PLACING '' FROM letter FOR 1));
                END LOOP;
            END IF;
            terms := concat_ws('&', terms, '(' || lexemes || ')');
        END LOOP;
        RETURN terms::tsquery;
    END
    $body$
"""

CREATE = (_LOWER, _SPELLED, _FOLDED, _DOCUMENT, _QUERY)
DROP = (
    "DROP FUNCTION IF EXISTS graph_search_query(text, integer)",
    "DROP FUNCTION IF EXISTS graph_search_document(text)",
    "DROP FUNCTION IF EXISTS graph_search_folded(text)",
    "DROP FUNCTION IF EXISTS graph_search_spelled(text)",
    "DROP FUNCTION IF EXISTS graph_lower(text)",
)


def create_with(metadata: MetaData) -> None:
    """Let `create_all` and `drop_all` take the functions along with the tables."""
    for statement in CREATE:
        event.listen(metadata, "before_create", DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
    for statement in DROP:
        event.listen(metadata, "after_drop", DDL(statement))  # type: ignore[no-untyped-call]
