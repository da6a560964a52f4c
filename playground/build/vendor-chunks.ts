/** Packages with a chunk of their own. Those not listed share the chunk `graphiql`. */
const CHUNK_OF_PACKAGE: Readonly<Record<string, string>> = {
  '@0no-co/graphql.web': 'client',
  '@tanstack/react-virtual': 'client',
  '@tanstack/virtual-core': 'client',
  '@urql/core': 'client',
  '@urql/exchange-auth': 'client',
  '@urql/exchange-graphcache': 'client',
  'urql': 'client',
  'wonka': 'client',
  'graphql': 'graphql',
  'graphql-language-service': 'graphql',
  'graphql-sse': 'client',
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
  // Helpers of Vite and Rollup are used by vendor chunks too: left alone, they would land in one of ours. Each has a
  // chunk of its own, because which one comes first depends on our code.
  if (id.includes('vite/preload-helper')) return 'preload';
  if (id.startsWith('\0commonjsHelpers')) return 'commonjs';
  const name = packageOf(id);
  return name === undefined ? undefined : (CHUNK_OF_PACKAGE[name] ?? 'graphiql');
}

function packageOf(id: string): string | undefined {
  const path = id.split('/node_modules/').at(-1);
  if (path === undefined || path === id) return undefined;
  const [scope, name] = path.split('/');
  return scope?.startsWith('@') ? `${scope}/${name}` : scope;
}
