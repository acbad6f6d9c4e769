/// <reference types="node" />
// What the functions of a client of docs/clients.md give, against a live server: one line of JSON.
const [url = "", tracked = "", untracked = ""] = process.argv.slice(2);

interface Input {
  id: string;
  expectedVersion: { version: number; any?: never } | { any: boolean; version?: never };
  change:
    | { by: number; to?: never; untracked?: never }
    | { to: number; by?: never; untracked?: never };
}
interface Store {
  username(number: string): Promise<string | undefined>;
  twoPages(first: number): Promise<string[]>;
  adjust(input: Input, key: string): Promise<string>;
  watch(id: string, next: (stock?: number | null) => void): unknown;
}

export async function drive(connect: (url: string) => Store) {
  const store = connect(url);
  const adjust = (change: Input["change"], others: Partial<Input> = {}, key = crypto.randomUUID()) =>
    store.adjust({ id: tracked, expectedVersion: { any: true }, change, ...others }, key);
  const key = crypto.randomUUID();
  const results = {
    username: await store.username("1"),
    twoPages: await store.twoPages(2),
    saved: await adjust({ to: 7 }, {}, key),
    again: await adjust({ to: 7 }, {}, key),
    mismatch: await adjust({ to: 8 }, {}, key),
    invalid: await adjust({ to: -1 }),
    missing: await adjust({ by: 1 }, { id: "SXRlbTo5OTk5OTk=" }),
    stale: await adjust({ by: 1 }, { expectedVersion: { version: 0 } }),
    untracked: await adjust({ by: 1 }, { id: untracked }),
    short: await adjust({ by: -8 }),
    watched: await new Promise<unknown[]>((resolve) => {
      const seen: unknown[] = [];
      store.watch(tracked, (stock) => {
        seen.push(stock);
        if (seen.length === 1) void adjust({ by: 1 });
        else resolve(seen);
      });
    }),
  };
  console.log(JSON.stringify(results));
  process.exit(); // a client may keep its connection
}
