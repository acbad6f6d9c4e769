"""The mutations that take many rows."""

from typing import Annotated, Any

import strawberry

from graph.database.writes import bulk
from graph.database.writes.bulk import MOST_ROWS
from graph.schema.context import Info
from graph.schema.payloads import given, mutation
from graph.store.mutations import inputs, results
from graph.store.mutations.inputs import DryRun, OnError
from graph.store.writes import customers, items, orders, stock

_ROWS = strawberry.argument(description=f"From 1 to {MOST_ROWS} rows.")
_ON_ERROR = strawberry.argument(description="What to do where rows are refused.")


async def _import_customers(
    info: Info,
    rows: Annotated[list[inputs.CreateCustomerInput], _ROWS],
    on_error: Annotated[OnError, _ON_ERROR] = OnError.REJECT_ALL,
    dry_run: DryRun = False,
) -> Any:
    outcomes = await _created(info, customers.create, rows, on_error)
    return results.imported(results.CustomersImported, results.CustomerRow, "customer", outcomes)


async def _import_items(
    info: Info,
    rows: Annotated[list[inputs.CreateItemInput], _ROWS],
    on_error: Annotated[OnError, _ON_ERROR] = OnError.REJECT_ALL,
    dry_run: DryRun = False,
) -> Any:
    outcomes = await _created(info, items.create, rows, on_error)
    return results.imported(results.ItemsImported, results.ItemRow, "item", outcomes)


async def _import_orders(
    info: Info,
    rows: Annotated[list[inputs.PlaceOrderInput], _ROWS],
    on_error: Annotated[OnError, _ON_ERROR] = OnError.REJECT_ALL,
    dry_run: DryRun = False,
) -> Any:
    outcomes = await _created(info, orders.place, rows, on_error)
    return results.imported(results.OrdersImported, results.OrderRow, "order", outcomes)


async def _created(info: Info, create: Any, rows: list[Any], on_error: OnError) -> Any:
    skips = on_error is OnError.SKIP_ROW
    plain = [given(row) for row in rows]
    return await bulk.create_all(
        info.context.transaction, create, plain, skips=skips, before=stock.lock_named
    )


@strawberry.type
class BulkMutation:
    import_customers: results.ImportCustomersResult | None = mutation(
        "Add many customers in one transaction.", _import_customers
    )
    import_items: results.ImportItemsResult | None = mutation(
        "Add many items in one transaction.", _import_items
    )
    import_orders: results.ImportOrdersResult | None = mutation(
        "Place many orders in one transaction, one after the other.", _import_orders
    )
