import { useSyncExternalStore } from "react";

// The token of this tab. In a shop of yours it comes from your identity provider; here the server
// under development hands them out (`/graphiql/tokens`), to try roles out. It is kept for the tab
// only, so that two tabs can be two people.

const KEY = "shop:token";
const listeners = new Set<() => void>();

export const currentToken = (): string | null => sessionStorage.getItem(KEY);

export function useToken(): string | null {
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return useSyncExternalStore(subscribe, currentToken);
}

export async function signIn(role: string, customer?: number): Promise<void> {
  const response = await fetch("/graphiql/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ role, own: customer }),
  });
  if (!response.headers.get("content-type")?.includes("json")) {
    throw new Error("This server hands out no tokens: they are for development only.");
  }
  const answer = (await response.json()) as { token?: string; errors?: { message: string }[] };
  if (!answer.token) throw new Error(answer.errors?.[0]?.message ?? "The sign-in failed.");
  keep(answer.token);
}

export const signOut = (): void => keep(null);

function keep(token: string | null): void {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}
