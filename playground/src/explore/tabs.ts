import type { Example } from './examples';

const TABS_KEY = 'graphiql:tabState';

interface StoredTab {
  readonly query: string | null;
  readonly variables: string | null;
}

/**
 * What the editors show first: the tab that was open when the page was left, or the first example.
 *
 * GraphiQL keeps the open tabs, but fills the variables editor of the first shown tab only from its
 * `initialVariables`, and opens one more tab when these and `initialQuery` match no stored tab.
 */
export function initialEditors(examples: readonly Pick<Example, 'query' | 'variables'>[], storage: Storage) {
  const tab = storedTab(storage) ?? examples[0];
  return { initialQuery: tab?.query ?? '', initialVariables: tab?.variables ?? '' };
}

/** Forgets the open tabs, so that the next visit begins with the examples. */
export function forgetTabs(storage: Storage): void {
  storage.removeItem(TABS_KEY);
}

function storedTab(storage: Storage): StoredTab | undefined {
  try {
    const state = JSON.parse(storage.getItem(TABS_KEY) ?? 'null');
    return state?.tabs?.[state.activeTabIndex];
  } catch {
    return undefined;
  }
}
