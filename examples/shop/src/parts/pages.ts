import { useState } from "react";
import { useQuery, type TypedDocumentNode } from "urql";

type Connection<Node> = {
  edges: { node: Node }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  totalCount: number;
};

/**
 * The pages of a list that were read so far, as one list, and a way to the next one.
 *
 * The cache puts the pages together, and keeps them: whoever comes back to the list finds all of it
 * at once, and stands where they stood. So pages are not read again; `useLive` keeps rows up to date.
 */
export function usePages<Data, Filters extends object, Node>(
  query: TypedDocumentNode<Data, Filters & { after?: string | null }>,
  filters: Filters,
  connectionOf: (data: Data) => Connection<Node>,
) {
  const list = JSON.stringify(filters);
  const [reached, setReached] = useState<{ list: string; after: string | null }>({ list, after: null });
  // Other filters are another list, which begins at its start.
  const after = reached.list === list ? reached.after : null;
  const [{ data, fetching, error }] = useQuery({
    query,
    variables: { ...filters, after },
    requestPolicy: "cache-first",
  });
  const connection = data && connectionOf(data);
  return {
    rows: connection?.edges.map((edge) => edge.node),
    total: connection?.totalCount ?? 0,
    hasMore: connection?.pageInfo.hasNextPage ?? false,
    isLoading: fetching,
    error,
    more: () => setReached({ list, after: connection?.pageInfo.endCursor ?? null }),
  };
}

/** Parts of a list that stay the same while it grows, so that each is subscribed to once. */
export function inParts<T>(rows: T[], size = 24): T[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, part) => rows.slice(part * size, (part + 1) * size));
}
