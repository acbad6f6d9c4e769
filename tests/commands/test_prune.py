"""`graph prune` removes what is old."""

from __future__ import annotations

from tests.command_line import answer, complaint, graph, output_of


def test_expired_keys_are_removed(database_url: str) -> None:
    old = """INSERT INTO idempotency_keys (viewer, key, request, created_on)
             SELECT '', n::text, '', now() - n * interval '1 hour' FROM generate_series(0, 30) n"""
    answer(database_url, old)

    assert output_of(graph("prune", GRAPH_DATABASE_URL=database_url)) == (
        "Removed 7 expired idempotency keys.\n"
    )


def test_old_events_are_removed(database_url: str) -> None:
    old = """INSERT INTO events (occurred_at, entity, entity_id, kind, payload)
             SELECT now() - n * interval '1 day', 'Item', n, 'CHANGED', '{}'
             FROM generate_series(10, 0, -1) AS n"""
    answer(database_url, old)

    assert output_of(
        graph("prune", "--events-older-than", "60h", GRAPH_DATABASE_URL=database_url)
    ) == (
        "Removed 0 expired idempotency keys.\n"
        "Removed 8 events, 0 partitions as a whole. No event up to number 8 is left.\n"
    )
    for wrong in ("60", "h", "-1d", "0d", "1y", "1.5d", "999999999w", "40000d"):
        done = graph("prune", "--events-older-than", wrong, GRAPH_DATABASE_URL=database_url)
        assert "--events-older-than is invalid" in complaint(done)
