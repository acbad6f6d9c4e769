import { useSyncExternalStore } from "react";

// The basket of this tab. It outlives a reload, and so does its idempotency key: an order that was
// sent just before is not placed a second time.

export type Line = { itemId: string; quantity: number };

type Basket = {
  lines: Line[];
  /** Belongs to exactly these lines for this customer; another basket has another key. */
  key: string;
  /** For whom a clerk orders. */
  customer?: { id: string; name: string };
};

const STORED = "shop:basket";
const listeners = new Set<() => void>();
let basket = stored() ?? empty();

export function useBasket(): Basket {
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return useSyncExternalStore(subscribe, () => basket);
}

export function addToBasket(itemId: string): void {
  const quantity = basket.lines.find((line) => line.itemId === itemId)?.quantity ?? 0;
  setQuantity(itemId, quantity + 1);
}

export function setQuantity(itemId: string, quantity: number): void {
  const isThere = basket.lines.some((line) => line.itemId === itemId);
  const lines = isThere
    ? basket.lines.map((line) => (line.itemId === itemId ? { itemId, quantity } : line))
    : [...basket.lines, { itemId, quantity }];
  keep({ ...basket, lines });
}

export function removeFromBasket(itemId: string): void {
  keep({ ...basket, lines: basket.lines.filter((line) => line.itemId !== itemId) });
}

export function orderFor(customer: Basket["customer"]): void {
  keep({ ...basket, customer });
}

export const emptyBasket = (): void => keep(empty());

function empty(): Basket {
  return { lines: [], key: crypto.randomUUID() };
}

function stored(): Basket | null {
  return JSON.parse(sessionStorage.getItem(STORED) ?? "null") as Basket | null;
}

function keep(changed: Omit<Basket, "key">): void {
  basket = { ...changed, key: crypto.randomUUID() };
  sessionStorage.setItem(STORED, JSON.stringify(basket));
  for (const listener of listeners) listener();
}
