import { createContext, useContext, type ReactNode } from "react";
import { useQuery } from "urql";

import { ViewerDocument, type ViewerQuery } from "../gql/graphql";

// What a page shows follows from permissions, never from the name of a role: roles are the server's.

export type Permission =
  | "own"
  | "store:read"
  | "costs:read"
  | "history:read"
  | "orders:write"
  | "orders:advance"
  | "customers:write"
  | "stock:write";

type Viewer = {
  role: string;
  customer: ViewerQuery["viewer"]["customer"];
  /** Whether the viewer has one of these permissions. */
  may: (...permissions: Permission[]) => boolean;
  /** For documents that leave out, by `@include`, fields that would be refused. */
  sees: { seesCosts: boolean; seesHistory: boolean; seesActors: boolean };
};

const Context = createContext<Viewer | null>(null);

export function useViewer(): Viewer {
  const viewer = useContext(Context);
  if (!viewer) throw new Error("There is no ViewerProvider.");
  return viewer;
}

export function ViewerProvider({ children }: { children: ReactNode }) {
  const [{ data, error }] = useQuery({ query: ViewerDocument });
  if (!data) return <p className="loading">{error ? error.message : "Loading…"}</p>;
  const { role, customer, may: permissions } = data.viewer;
  const may = (...any: Permission[]) => any.some((permission) => permissions.includes(permission));
  const sees = {
    seesCosts: may("costs:read"),
    seesHistory: may("history:read"),
    seesActors: may("history:read", "store:read"),
  };
  return <Context value={{ role, customer, may, sees }}>{children}</Context>;
}
