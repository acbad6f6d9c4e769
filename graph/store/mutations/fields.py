"""The fields of `Mutation`: each names its rule in `graph.store.writes`, its input and payload."""

import strawberry

from graph.schema.payloads import deleted, mutation, saved
from graph.store.mutations import inputs, results
from graph.store.mutations.bulk import BulkMutation
from graph.store.writes import customers, items, lines, orders


@strawberry.type(
    description="All fields that change the store. They run one after the other, each in a"
    " transaction of its own unless the operation is `@atomic`. A result is null only if the field"
    " failed with an entry in `errors`, so that the results of the other fields are kept."
)
class Mutation(BulkMutation):
    create_customer: results.CreateCustomerResult | None = mutation(
        "Add a customer.",
        rule=customers.create,
        at_once=customers.create_at_once,
        input=inputs.CreateCustomerInput,
        success=saved(results.CustomerSaved, "customer_id"),
    )
    update_customer: results.UpdateCustomerResult | None = mutation(
        "Change a customer.",
        rule=customers.update,
        at_once=customers.update_at_once,
        input=inputs.UpdateCustomerInput,
        success=saved(results.CustomerSaved, "customer_id"),
    )
    delete_customer: results.DeleteCustomerResult | None = mutation(
        "Delete a customer who has no orders.",
        rule=customers.delete,
        input=inputs.DeleteCustomerInput,
        success=deleted(results.CustomerDeleted, "Customer"),
    )
    create_item: results.CreateItemResult | None = mutation(
        "Add an item.",
        rule=items.create,
        at_once=items.create_at_once,
        input=inputs.CreateItemInput,
        success=saved(results.ItemSaved, "item_id"),
    )
    update_item: results.UpdateItemResult | None = mutation(
        "Change an item.",
        rule=items.update,
        at_once=items.update_at_once,
        input=inputs.UpdateItemInput,
        success=saved(results.ItemSaved, "item_id"),
    )
    adjust_stock: results.AdjustStockResult | None = mutation(
        "Change the number of pieces of an item in stock.",
        rule=items.adjust_stock,
        at_once=items.adjust_stock_at_once,
        input=inputs.AdjustStockInput,
        success=saved(results.ItemSaved, "item_id"),
    )
    place_order: results.PlaceOrderResult | None = mutation(
        "Place an order at the current prices, and take its pieces from stock.",
        rule=orders.place,
        at_once=orders.place_at_once,
        input=inputs.PlaceOrderInput,
        success=saved(results.OrderSaved, "order_id"),
    )
    add_order_line: results.AddOrderLineResult | None = mutation(
        "Add a line to an order that is not paid yet.",
        rule=lines.add,
        input=inputs.AddOrderLineInput,
        success=saved(results.OrderLineSaved, "order_id", "line_id"),
    )
    change_order_line: results.ChangeOrderLineResult | None = mutation(
        "Change the quantity of a line of an order that is not paid yet.",
        rule=lines.change,
        input=inputs.ChangeOrderLineInput,
        success=saved(results.OrderLineSaved, "order_id", "line_id"),
    )
    remove_order_line: results.RemoveOrderLineResult | None = mutation(
        "Remove a line from an order that is not paid yet.",
        rule=lines.remove,
        input=inputs.RemoveOrderLineInput,
        success=saved(results.OrderSaved, "order_id"),
    )
    advance_order: results.AdvanceOrderResult | None = mutation(
        "Record that an order was paid, shipped or delivered.",
        rule=orders.advance,
        at_once=orders.advance_at_once,
        input=inputs.AdvanceOrderInput,
        success=saved(results.OrderSaved, "order_id"),
    )
    cancel_order: results.CancelOrderResult | None = mutation(
        "Cancel an order or some of its pieces, and return them to stock.",
        rule=orders.cancel,
        input=inputs.CancelOrderInput,
        success=saved(results.OrderSaved, "order_id"),
    )
