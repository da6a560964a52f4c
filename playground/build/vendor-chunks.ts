/** Packages with a chunk of their own. Those not listed share the chunk `graphiql`. */
const CHUNK_OF_PACKAGE: Readonly<Record<string, string>> = {
  'graphql': 'graphql',
  'graphql-language-service': 'graphql',
  'graphql-sse': 'graphql',
  'nullthrows': 'graphql',
  'vscode-languageserver-types': 'graphql',
  'monaco-editor': 'monaco',
  'monaco-graphql': 'monaco',
  'picomatch-browser': 'monaco',
  'prettier': 'prettier',
  'react': 'react',
  'react-dom': 'react',
  'scheduler': 'react',
};

/**
 * Names the chunk of a module that is not ours, so that the bytes (and so the hashed names) of vendor
 * files stay what they are when only our own code changes.
 */
export function vendorChunk(id: string): string | undefined {
  // Helpers of Vite and Rollup are used by vendor chunks too: left alone, they would land in one of ours.
  if (id.includes('vite/preload-helper') || id.startsWith('\0commonjsHelpers')) return 'runtime';
  const name = packageOf(id);
  return name === undefined ? undefined : (CHUNK_OF_PACKAGE[name] ?? 'graphiql');
}

function packageOf(id: string): string | undefined {
  const path = id.split('/node_modules/').at(-1);
  if (path === undefined || path === id) return undefined;
  const [scope, name] = path.split('/');
  return scope?.startsWith('@') ? `${scope}/${name}` : scope;
}
