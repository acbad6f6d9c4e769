import { useEffect, useEffectEvent, useRef, type ReactNode } from "react";
import type { CombinedError } from "urql";

type Props = {
  label: string;
  className: string;
  list: { rows?: unknown[] | undefined; total: number; hasMore: boolean; isLoading: boolean; error?: CombinedError | undefined; more: () => void };
  children: ReactNode;
};

/**
 * A list that grows when its end comes near.
 *
 * The end is a button: it can be reached with the keyboard, and pressed where nothing scrolls.
 */
export function InfiniteList({ label, className, list, children }: Props) {
  const end = useRef<HTMLButtonElement>(null);
  const more = useEffectEvent(list.more);
  const shown = list.rows?.length ?? 0;
  useEffect(() => {
    if (!end.current || list.isLoading) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && more(), { rootMargin: "300px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [list.isLoading, shown]);

  if (list.error) return <p role="alert">{list.error.message}</p>;
  if (!list.rows) return <p className="loading">Loading…</p>;
  return (
    <>
      <p role="status" className="hint">
        {list.total === 0 ? "Nothing matches." : `${shown} of ${list.total.toLocaleString()}`}
      </p>
      <ul aria-label={label} aria-busy={list.isLoading} className={className}>
        {children}
      </ul>
      {list.hasMore && (
        <button ref={end} className="quiet more" onClick={list.more} disabled={list.isLoading}>
          {list.isLoading ? "Loading more…" : "Show more"}
        </button>
      )}
    </>
  );
}
