import { useEffect, useLayoutEffect, useRef, useSyncExternalStore, type ComponentProps, type ReactNode } from "react";

// As much of a router as the shop needs. Filters stand in the address, so that a list can be linked
// to, and the place in it stands in the history, so that "back" leads there.

let here = location.pathname + location.search;
let place: { y?: number } | null = history.state;
const listeners = new Set<() => void>();

history.scrollRestoration = "manual";
addEventListener("popstate", () => arrive(history.state));
addEventListener("scrollend", keepPlace);

/** Keeps the place in the page that is shown; not once the address is that of another page. */
function keepPlace(): void {
  if (here === location.pathname + location.search) history.replaceState({ y: scrollY }, "");
}

function arrive(at: { y?: number } | null): void {
  here = location.pathname + location.search;
  place = at;
  for (const listener of listeners) listener();
}

export function navigate(to: string, how: "push" | "replace" = "push"): void {
  keepPlace(); // its reader may have scrolled just before
  if (how === "push") history.pushState(null, "", to);
  else history.replaceState(history.state, "", to);
  arrive(how === "push" ? { y: 0 } : null);
}

export function useLocation(): URL {
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return new URL(useSyncExternalStore(subscribe, () => here), location.origin);
}

/** The filters of a list, which stand in the address; an empty one is left out. */
export function useFilters(): [URLSearchParams, (name: string, value: string) => void] {
  const { pathname, searchParams } = useLocation();
  return [
    searchParams,
    (name, value) => {
      const changed = new URLSearchParams(location.search);
      if (value) changed.set(name, value);
      else changed.delete(name);
      navigate(`${pathname}${changed.size ? `?${changed}` : ""}`, "replace");
    },
  ];
}

export function Link({ href, ...rest }: ComponentProps<"a"> & { href: string }) {
  const isHere = useLocation().pathname === href;
  return (
    <a
      href={href}
      aria-current={isHere ? "page" : undefined}
      onClick={(event) => {
        // Another button or key is for the browser: a new tab, a download.
        if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(href);
      }}
      {...rest}
    />
  );
}

/** A page: its name is in the title of the window, and gets the focus, so that a screen reader says it. */
export function Page({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Shop`;
  }, [title]);
  useLayoutEffect(() => {
    if (!place) return;
    heading.current?.focus({ preventScroll: true });
    scrollTo({ top: place.y ?? 0, behavior: "instant" });
  }, []);
  return (
    <main id="main">
      <header className="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead}
      </header>
      {children}
    </main>
  );
}
