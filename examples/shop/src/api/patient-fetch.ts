import { waitForNetwork, waitingRequest } from "./network";

const TIMEOUT = 20_000;
const LONGEST_WAIT = 8_000;

/**
 * A `fetch` that sends a request again until it has an answer.
 *
 * A client that gets no answer does not know whether its mutation was done. So it sends the same
 * bytes again: the idempotency key is among them, and the server does nothing twice. Here it is
 * safe for each mutation, as all of them in this shop have a key.
 */
export async function patientFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const signal = init?.signal ?? undefined;
  let isAnswered: (() => void) | undefined;
  try {
    for (let attempt = 0; ; attempt++) {
      const wait = navigator.onLine ? await send(input, init) : LONGEST_WAIT;
      if (wait instanceof Response) return wait;
      isAnswered ??= waitingRequest();
      // Longer each time, and not the same for all clients of a server that was restarted.
      const backoff = Math.min(250 * 2 ** attempt, LONGEST_WAIT) * (0.5 + Math.random() / 2);
      await waitForNetwork(Math.max(wait, backoff), signal);
    }
  } finally {
    isAnswered?.();
  }
}

/** The answer; or else the milliseconds that the server wants us to wait at the least. */
async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response | number> {
  const limit = AbortSignal.timeout(TIMEOUT);
  const signal = init?.signal ? AbortSignal.any([init.signal, limit]) : limit;
  try {
    const response = await fetch(input, { ...init, signal });
    const retryAfter = response.headers.get("retry-after");
    const isOfProxy = !response.headers.get("content-type")?.includes("json");
    if (response.status < 429 || !(retryAfter ?? isOfProxy)) return response;
    return 1_000 * Number(retryAfter ?? 0);
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    return 0;
  }
}
