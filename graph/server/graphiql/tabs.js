import { useGraphiQLActions } from "@graphiql/react";

let shown; // the id of a tab
let stop = () => {};

/**
 * Ends a subscription when another tab is shown.
 *
 * GraphiQL does so when a tab is changed, and not when one is added: the
 * results would appear in the new tab, whose first click on "Execute" would
 * stop them and run nothing. It is no effect, which would be too late for an
 * example that is run at once.
 */
export function onTabChange({ tabs, activeTabIndex }) {
  const { id } = tabs[activeTabIndex];
  if (shown !== undefined && id !== shown) {
    stop();
  }
  shown = id;
}

export function Tabs() {
  ({ stop } = useGraphiQLActions());
  return null;
}
