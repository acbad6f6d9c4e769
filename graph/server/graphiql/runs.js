import { useSyncExternalStore } from "react";

// Whether runs are explained: while the panel is open. `analyzes` is for the next run only. `last`
// is the explanation of the last run, or the reason why there is none.
let state = { explains: false, analyzes: false, last: null };
const listeners = new Set();

export function update(changed) {
  state = { ...state, ...changed };
  for (const listener of listeners) {
    listener();
  }
}

export const current = () => state;

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useRuns = () => useSyncExternalStore(subscribe, current);
