"""The fields of `Mutation`: each hands its input to the rule in `graph.database.writes`.

Whether it is a dry run is for the transaction to know, not for the resolver.
"""

from typing import Annotated, Any

import strawberry

from graph.relay import to_global_id
from graph.schema.build import build
from graph.schema.context import Info
from graph.schema.payloads import given, mutation
from graph.store.mutations import inputs, results
from graph.store.mutations.bulk import BulkMutation
from graph.store.mutations.inputs import DryRun
from graph.store.writes import customers, items, lines, orders


def _described(description: str) -> Any:
    return strawberry.argument(description=description)


_INPUT = _described("What is to be done.")


async def _create_customer(
    info: Info,
    input: Annotated[inputs.CreateCustomerInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await customers.create(info.context.transaction, given(input))
    return build(results.CustomerSaved, customer_id=key)


async def _update_customer(
    info: Info,
    input: Annotated[inputs.UpdateCustomerInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await customers.update(info.context.transaction, given(input))
    return build(results.CustomerSaved, customer_id=key)


async def _delete_customer(
    info: Info,
    input: Annotated[inputs.DeleteCustomerInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await customers.delete(info.context.transaction, given(input))
    return build(results.CustomerDeleted, deleted_id=to_global_id("Customer", key))


async def _create_item(
    info: Info,
    input: Annotated[inputs.CreateItemInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await items.create(info.context.transaction, given(input))
    return build(results.ItemSaved, item_id=key)


async def _update_item(
    info: Info,
    input: Annotated[inputs.UpdateItemInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await items.update(info.context.transaction, given(input))
    return build(results.ItemSaved, item_id=key)


async def _adjust_stock(
    info: Info,
    input: Annotated[inputs.AdjustStockInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await items.adjust_stock(info.context.transaction, given(input))
    return build(results.ItemSaved, item_id=key)


async def _place_order(
    info: Info,
    input: Annotated[inputs.PlaceOrderInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await orders.place(info.context.transaction, given(input))
    return build(results.OrderSaved, order_id=key)


async def _add_order_line(
    info: Info,
    input: Annotated[inputs.AddOrderLineInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    order, line = await lines.add(info.context.transaction, given(input))
    return build(results.OrderLineSaved, order_id=order, line_id=line)


async def _change_order_line(
    info: Info,
    input: Annotated[inputs.ChangeOrderLineInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    order, line = await lines.change(info.context.transaction, given(input))
    return build(results.OrderLineSaved, order_id=order, line_id=line)


async def _remove_order_line(
    info: Info,
    input: Annotated[inputs.RemoveOrderLineInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await lines.remove(info.context.transaction, given(input))
    return build(results.OrderSaved, order_id=key)


async def _advance_order(
    info: Info,
    input: Annotated[inputs.AdvanceOrderInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await orders.advance(info.context.transaction, given(input))
    return build(results.OrderSaved, order_id=key)


async def _cancel_order(
    info: Info,
    input: Annotated[inputs.CancelOrderInput, _INPUT],
    dry_run: DryRun = False,
) -> Any:
    key = await orders.cancel(info.context.transaction, given(input))
    return build(results.OrderSaved, order_id=key)


@strawberry.type(
    description="The changes that can be made. Each is a transaction of its own, one after the"
    " other, unless the operation is `@atomic`."
)
class Mutation(BulkMutation):
    create_customer: results.CreateCustomerResult | None = mutation(
        "Add a customer.", _create_customer
    )
    update_customer: results.UpdateCustomerResult | None = mutation(
        "Change a customer.", _update_customer
    )
    delete_customer: results.DeleteCustomerResult | None = mutation(
        "Delete a customer who has no orders.", _delete_customer
    )
    create_item: results.CreateItemResult | None = mutation("Add an item.", _create_item)
    update_item: results.UpdateItemResult | None = mutation("Change an item.", _update_item)
    adjust_stock: results.AdjustStockResult | None = mutation(
        "Count pieces of an item in or out.", _adjust_stock
    )
    place_order: results.PlaceOrderResult | None = mutation(
        "Place an order at the prices of this moment, and take its pieces from stock.",
        _place_order,
    )
    add_order_line: results.AddOrderLineResult | None = mutation(
        "Add a line to an order that is not paid yet.", _add_order_line
    )
    change_order_line: results.ChangeOrderLineResult | None = mutation(
        "Change how many pieces a line of an order has that is not paid yet.", _change_order_line
    )
    remove_order_line: results.RemoveOrderLineResult | None = mutation(
        "Remove a line from an order that is not paid yet.", _remove_order_line
    )
    advance_order: results.AdvanceOrderResult | None = mutation(
        "Note that an order was paid, sent off, or has arrived.", _advance_order
    )
    cancel_order: results.CancelOrderResult | None = mutation(
        "Cancel an order or some of its pieces, and put them back in stock.", _cancel_order
    )
