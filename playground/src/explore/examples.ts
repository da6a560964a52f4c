/** An operation to begin with. */
export interface Example {
  /** The name of the operation, which is the title of its tab. */
  readonly name: string;
  /** What it shows: the comment it begins with, as one line. */
  readonly about: string;
  /** The name of the demo credential that it is meant for; undefined where any player's will do. */
  readonly credential: string | undefined;
  readonly query: string;
  /** JSON text, or `null` for an operation without variables. */
  readonly variables: string | null;
}

/** How many of the examples open as tabs; the others are in the list of examples. */
const TABS = 5;

const operations = import.meta.glob<string>('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });
const variables = import.meta.glob<string>('./examples/*.json', { query: '?raw', import: 'default', eager: true });

/** The examples in the order of their file names: `15-record-steps.app.graphql` is meant for the credential `app`. */
export const EXAMPLES: readonly Example[] = Object.entries(operations)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([path, query]) => ({
    name: /^(?:query|mutation|subscription)\s+(\w+)/m.exec(query)?.[1] ?? '',
    about: commentOf(query),
    credential: /\.(\w+)\.graphql$/.exec(path)?.[1],
    query: query.trimEnd(),
    variables: variables[path.replace(/graphql$/, 'json')]?.trimEnd() ?? null,
  }));

/** Those that are open when somebody comes for the first time. */
export const FIRST_EXAMPLES: readonly Example[] = EXAMPLES.slice(0, TABS);

function commentOf(query: string): string {
  const lines = /^(?:#.*\n)+/.exec(query)?.[0] ?? '';
  return lines.replaceAll(/\n?^# ?/gm, ' ').trim();
}
