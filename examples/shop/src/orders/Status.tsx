import type { OrderStatus } from "../gql/graphql";

export const STATUSES: Record<OrderStatus, string> = {
  PLACED: "Placed",
  PAID: "Paid",
  SHIPPED: "Shipped",
  DELIVERED: "Delivered",
  CANCELLED: "Cancelled",
};

export function Status({ status }: { status: OrderStatus }) {
  return <span className={`status ${status.toLowerCase()}`}>{STATUSES[status]}</span>;
}
