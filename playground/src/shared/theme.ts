const KEY = 'waymark:theme';
/** Where the editor keeps its own choice. */
const EDITOR_KEY = 'graphiql:theme';

export type Theme = 'light' | 'dark';

/** What is shown now: what was chosen, or else what the system prefers. */
export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset['theme'];
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

/** Shows the theme that was chosen on an earlier visit. */
export function restoreTheme(): void {
  const chosen = localStorage.getItem(KEY);
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset['theme'] = chosen;
}

/** Chooses a theme for this and later visits. */
export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
  localStorage.setItem(KEY, theme);
  localStorage.setItem(EDITOR_KEY, theme);
}
