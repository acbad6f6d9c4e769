import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { formatError, formatResult } from "@graphiql/toolkit";

let tabs = [];
let shown; // the id of a tab
let responseEditor;
let actions = { stop() {} };

// The last run of each tab, by the tab's id, until it ends.
const runs = new Map();

/**
 * Ends a subscription when another tab is shown, and lets a query go on.
 *
 * GraphiQL ends one when a tab is changed, and not when one is added: the
 * results would appear in the new tab, whose first click on "Execute" would
 * stop them and run nothing. It is no effect, which would be too late for an
 * example that is run at once.
 */
export function onTabChange({ tabs: all, activeTabIndex }) {
  const { id } = all[activeTabIndex];
  tabs = all;
  if (shown !== undefined && id !== shown) {
    actions.stop();
    if (runs.has(shown)) {
      runs.get(shown).wasLeft = true;
    }
  }
  shown = id;
}

/**
 * The answers of a run, for the tab that is shown now.
 *
 * GraphiQL writes an answer into the tab that is shown when it comes, and drops
 * it if another query was run meanwhile. So it gets answers only until their
 * tab is left: later ones are written here.
 */
export function inItsTab(answers) {
  const run = { tab: shown, wasLeft: false };
  runs.set(run.tab, run);
  return followed(run, answers);
}

async function* followed(run, answers) {
  const isGraphiQLs = () => !run.wasLeft && runs.get(run.tab) === run;
  try {
    for await (const answer of answers) {
      if (isGraphiQLs()) {
        yield answer;
      } else {
        write(run, formatResult(answer));
      }
    }
  } catch (error) {
    if (isGraphiQLs()) {
      throw error;
    }
    write(run, formatError(error));
  }
  const endsForGraphiQL = isGraphiQLs();
  if (runs.get(run.tab) === run) {
    runs.delete(run.tab);
  }
  if (!endsForGraphiQL) {
    await new Promise(() => {}); // GraphiQL would take this end for that of the run it shows
  }
}

function write(run, response) {
  if (runs.get(run.tab) !== run) {
    return; // the tab has run something else since
  }
  if (run.tab === shown) {
    responseEditor.setValue(response);
    actions.updateActiveTabValues({ response });
    return;
  }
  const left = tabs.find(({ id }) => id === run.tab);
  if (left) {
    left.response = response; // GraphiQL shows it with the tab, and has no action that sets it
  }
}

export function Tabs() {
  actions = useGraphiQLActions();
  responseEditor = useGraphiQL((state) => state.responseEditor);
  return null;
}
