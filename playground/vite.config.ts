import { defineConfig } from 'vite';

import { addresses } from './build/addresses';
import { examplePreview } from './build/example-preview';
import { vendorChunk } from './build/vendor-chunks';

/** While developing, a running server answers what is not a page: `WAYMARK=http://127.0.0.1:8080 npm run dev`. */
const server = process.env['WAYMARK'] ?? 'http://127.0.0.1:8080';
const proxy = Object.fromEntries(['/graphql', '/playground.json', '/schema.graphql', '^/u/.*/card.svg'].map((path) => [path, server]));

export default defineConfig({
  // Relative addresses, so that the pages also work below a path prefix.
  base: './',
  plugins: [addresses(), examplePreview('src/explore/examples/01-profile.graphql')],
  // Their workers are modules that only Vite itself can load.
  optimizeDeps: { exclude: ['graphiql/setup-workers/vite', '@graphiql/react/setup-workers/vite'] },
  server: { proxy },
  preview: { proxy },
  build: {
    outDir: 'dist',
    assetsDir: 'assets',
    emptyOutDir: true,
    sourcemap: false,
    license: { fileName: 'licenses.md' },
    target: 'es2022',
    // Every file has an address of its own: the policy of the pages allows nothing from inside a page.
    assetsInlineLimit: 0,
    // Every browser that runs the target preloads modules by itself.
    modulePreload: { polyfill: false },
    // Monaco is one chunk of this size; it is loaded after the page has been painted.
    chunkSizeWarningLimit: 4096,
    rollupOptions: {
      input: ['index.html', 'u/index.html', 'admin.html'],
      output: { manualChunks: vendorChunk },
      onwarn(warning, warn) {
        // Packages made for server components begin with "use client", which means nothing here.
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
  },
  worker: { format: 'es' },
});
