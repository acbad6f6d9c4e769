import { cacheExchange, type Cache } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

import {
  StockFragmentDoc,
  type AdjustStockInput,
  type AdvanceOrderInput,
  type CancelOrderInput,
  type ChangeOrderLineInput,
  type PlaceOrderInput,
} from "../gql/graphql";
import { possibleTypes } from "../gql/possible-types.json";

// Types that have no id: they are a part of the object that they stand in.
const KEYLESS = [
  ...["Viewer", "Count", "OrderActionState", "Reason", "Problem", "Shortage"],
  ...["ItemSaved", "OrderSaved", "OrderLineSaved", "CustomerSaved", ...possibleTypes.Error],
];

const STATUS_AFTER = { PAY: "PAID", SHIP: "SHIPPED", DELIVER: "DELIVERED" } as const;

/**
 * Each object once, however many lists show it. A live query has the type of a query, so its results
 * change what the queries of all pages have read.
 */
export const cache = () =>
  cacheExchange({
    possibleTypes,
    // When it writes, graphcache 9 looks into the fragments of all types, and warns of each field that
    // another type would have.
    logger: (severity, message) => message.startsWith("Invalid undefined") || console[severity](message),
    keys: Object.fromEntries(KEYLESS.map((type) => [type, () => null])),
    resolvers: {
      // All pages of a list that have been read, as one.
      Query: { items: relayPagination(), orders: relayPagination(), customers: relayPagination() },
    },
    // What is shown until the server has answered. It is taken back when the answer is an error.
    optimistic: {
      changeOrderLine: ({ input }: { input: ChangeOrderLineInput }) => ({
        __typename: "OrderLineSaved",
        line: { __typename: "OrderLine", id: input.id, quantity: input.quantity },
      }),
      advanceOrder: ({ input }: { input: AdvanceOrderInput }) => ({
        __typename: "OrderSaved",
        order: { __typename: "Order", id: input.id, status: STATUS_AFTER[input.action] },
      }),
      cancelOrder: ({ input }: { input: CancelOrderInput }) => ({
        __typename: "OrderSaved",
        order: { __typename: "Order", id: input.id, status: "CANCELLED" },
      }),
      adjustStock: ({ input }: { input: AdjustStockInput }, cache) => ({
        __typename: "ItemSaved",
        item: { __typename: "Item", id: input.id, stock: stockOf(cache, input.id, input.change.by ?? 0) },
      }),
      // Nobody is told that an order was placed before it was; only the stock is shown as taken.
      placeOrder: ({ input }: { input: PlaceOrderInput }, cache) => {
        for (const { itemId, quantity } of [input.lines].flat()) {
          cache.writeFragment(StockFragmentDoc, {
            __typename: "Item",
            id: itemId,
            stock: stockOf(cache, itemId, -quantity),
          });
        }
        return { __typename: "OrderSaved" };
      },
    },
    updates: {
      Mutation: {
        placeOrder: (result, _, cache) => {
          const saved = result["placeOrder"] as { __typename: string; order?: object };
          if (!saved.order) return;
          for (const list of cache.inspectFields("Query")) {
            if (list.fieldName === "orders") cache.invalidate("Query", list.fieldKey);
          }
        },
      },
    },
  });

/** The stock of an item after a change that the server has not made yet; null where it is not counted. */
function stockOf(cache: Cache, id: string, change: number): number | null {
  const stock = cache.resolve({ __typename: "Item", id }, "stock");
  return typeof stock === "number" ? Math.max(0, stock + change) : null;
}
