"""The fields of `Mutation` that take many rows."""

from typing import Any

import strawberry

from graph.database.writes import bulk
from graph.database.writes.bulk import MOST_ROWS
from graph.schema.context import Info
from graph.schema.fields import REQUIRED, argument
from graph.schema.payloads import Success, change_field, given
from graph.store.mutations import inputs, results
from graph.store.mutations.inputs import OnError
from graph.store.mutations.results import imported
from graph.store.writes import customers, items, orders, stock

_ON_ERROR = argument(OnError, "The handling of rows that are refused.")


def _bulk_mutation(
    description: str,
    *,
    rule: bulk.Create,
    input: type,  # noqa: A002  as in `mutation`
    success: Success,
) -> Any:
    """A field that creates a row for each of `rows`, by the rule for one row."""

    async def change(info: Info, *, rows: list[Any], on_error: OnError) -> Any:
        outcomes = await bulk.create_all(
            info.context.transaction,
            rule,
            [given(row) for row in rows],
            skips=on_error is OnError.SKIP_ROW,
            before=stock.lock_named,
        )
        return success(outcomes)

    rows = argument(list[input], f"From 1 to {MOST_ROWS} rows.")  # type: ignore[valid-type]
    return change_field(
        description,
        change,
        {"rows": rows, "on_error": _ON_ERROR},
        rows=REQUIRED,
        on_error=OnError.REJECT_ALL,
    )


@strawberry.type
class BulkMutation:
    import_customers: results.ImportCustomersResult | None = _bulk_mutation(
        "Add many customers in one transaction.",
        rule=customers.create,
        input=inputs.CreateCustomerInput,
        success=imported(results.CustomersImported, results.CustomerRow, "customer_id"),
    )
    import_items: results.ImportItemsResult | None = _bulk_mutation(
        "Add many items in one transaction.",
        rule=items.create,
        input=inputs.CreateItemInput,
        success=imported(results.ItemsImported, results.ItemRow, "item_id"),
    )
    import_orders: results.ImportOrdersResult | None = _bulk_mutation(
        "Place many orders in one transaction, one after the other.",
        rule=orders.place,
        input=inputs.PlaceOrderInput,
        success=imported(results.OrdersImported, results.OrderRow, "order_id"),
    )
