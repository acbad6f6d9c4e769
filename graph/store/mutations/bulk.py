"""The fields of `Mutation` that take many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry

from graph.database.writes import bulk
from graph.schema.payloads import Success, mutation
from graph.store.mutations import inputs, results
from graph.store.mutations.inputs import OnError
from graph.store.mutations.results import imported
from graph.store.writes import customers, items, orders, stock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction
    from graph.database.writes.bulk import RowOutcome


def _bulk_mutation(
    description: str,
    *,
    rule: bulk.Create,
    input: type,  # noqa: A002  as in `mutation`
    success: Success,
) -> Any:
    """A field that creates a row for each of the input's `rows`, by the rule for one row."""

    async def create_all(transaction: Transaction, given: Mapping[str, Any]) -> list[RowOutcome]:
        return await bulk.create_all(
            transaction,
            rule,
            given["rows"],
            skips=given["on_error"] is OnError.SKIP_ROW,
            before=stock.lock_named,
        )

    return mutation(description, rule=create_all, input=input, success=success)


@strawberry.type
class BulkMutation:
    import_customers: results.ImportCustomersResult | None = _bulk_mutation(
        "Add many customers in one transaction.",
        rule=customers.create,
        input=inputs.ImportCustomersInput,
        success=imported(results.CustomersImported, results.CustomerRow, "customer_id"),
    )
    import_items: results.ImportItemsResult | None = _bulk_mutation(
        "Add many items in one transaction.",
        rule=items.create,
        input=inputs.ImportItemsInput,
        success=imported(results.ItemsImported, results.ItemRow, "item_id"),
    )
    import_orders: results.ImportOrdersResult | None = _bulk_mutation(
        "Place many orders in one transaction, one after the other.",
        rule=orders.place,
        input=inputs.ImportOrdersInput,
        success=imported(results.OrdersImported, results.OrderRow, "order_id"),
    )
