/** An operation that opens as a tab of its own. */
export interface Example {
  readonly query: string;
  /** JSON text, or `null` for an operation without variables. */
  readonly variables: string | null;
}

const operations = import.meta.glob<string>('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });
const variables = import.meta.glob<string>('./examples/*.json', { query: '?raw', import: 'default', eager: true });

/** The examples in the order of their file names. */
export const EXAMPLES: readonly Example[] = Object.entries(operations)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([path, query]) => ({
    query: query.trimEnd(),
    variables: variables[path.replace(/graphql$/, 'json')]?.trimEnd() ?? null,
  }));
