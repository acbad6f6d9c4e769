import { useSyncExternalStore } from "react";

// Whether requests get through. One store, outside of React: the code that sends requests tells it,
// and the banner shows it.

export type Network = {
  /** What the browser knows. It may say `true` of a network that leads nowhere. */
  isOnline: boolean;
  /** Requests that were sent without an answer, and will be sent again. */
  waiting: number;
};

let network: Network = { isOnline: navigator.onLine, waiting: 0 };
const listeners = new Set<() => void>();

function change(changed: Partial<Network>): void {
  network = { ...network, ...changed };
  for (const listener of listeners) listener();
}

addEventListener("online", () => change({ isOnline: true }));
addEventListener("offline", () => change({ isOnline: false }));

export function useNetwork(): Network {
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return useSyncExternalStore(subscribe, () => network);
}

/** Counts a request as waiting until the returned function is called. */
export function waitingRequest(): () => void {
  change({ waiting: network.waiting + 1 });
  return () => change({ waiting: network.waiting - 1 });
}

/** Waits for so long, and then for the browser to be online. Rejects when `signal` aborts. */
export async function waitForNetwork(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const give = () => reject(signal?.reason);
    const go = () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      signal?.removeEventListener("abort", give);
      resolve();
    };
    // Back online: now, and not when the wait is over.
    addEventListener("online", go);
    signal?.addEventListener("abort", give, { once: true });
    const timer = setTimeout(() => navigator.onLine && go(), milliseconds);
  });
}
