import { defineConfig } from 'vite';

import { examplePreview } from './build/example-preview';
import { vendorChunk } from './build/vendor-chunks';

export default defineConfig({
  // Relative addresses, so that the page also works below a path prefix.
  base: './',
  plugins: [examplePreview('src/examples/1-profile.graphql')],
  build: {
    outDir: 'dist',
    assetsDir: 'assets',
    emptyOutDir: true,
    sourcemap: false,
    license: { fileName: 'licenses.md' },
    target: 'es2022',
    // Every browser that runs the target preloads modules by itself.
    modulePreload: { polyfill: false },
    // Monaco is one chunk of this size; it is loaded after the page has been painted.
    chunkSizeWarningLimit: 4096,
    rollupOptions: {
      output: { manualChunks: vendorChunk },
      onwarn(warning, warn) {
        // Packages made for server components begin with "use client", which means nothing here.
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
  },
  worker: { format: 'es' },
});
