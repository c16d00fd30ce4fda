import { basename } from 'node:path';
import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';
import { chunkNames } from './scripts/chunk-names.mjs';
import { pageChunks } from './scripts/page-chunks.mjs';
import { preloadLists } from './scripts/preload-lists.mjs';
import { messagesPlugin } from './scripts/messages.mjs';

const server = process.env.NATTER_SERVER ?? 'http://127.0.0.1:8080';

const chunks = pageChunks();
const preloads = preloadLists();

export default defineConfig({
  environments: {
    client: {
      build: {
        modulePreload: { resolveDependencies: preloads.resolveDependencies },
        rolldownOptions: {
          output: {
            codeSplitting: {
              groups: [
                // SvelteKit writes the payload before it loads its reader. In a shared file that would run too early.
                { name: 'payload', test: /runtime\/client\/payload\.js|vite\/preload-helper/, priority: 101 },
                // Shared styles: in a chunk with scripts, pages that need only the styles would load the scripts as well.
                { name: (id) => basename(id, '.css'), test: /\/src\/styles\/\w+\.css$/, priority: 100 },
                ...chunks.groups
              ]
            }
          }
        }
      }
    }
  },
  // The Content-Security-Policy allows no fonts from `data:` URLs.
  build: { assetsInlineLimit: (file) => (/\.(woff2?|ttf)$/.test(file) ? false : undefined) },
  // A worker is one file, because its Content-Security-Policy allows no other scripts.
  worker: { format: 'es', rolldownOptions: { output: { codeSplitting: false } } },
  plugins: [
    chunks.plugin,
    chunkNames,
    preloads.plugin,
    tailwindcss(),
    messagesPlugin,
    sveltekit({
      // No server rendering: every path that is not a file gets the same page.
      adapter: adapter({ fallback: 'index.html', precompress: true }),
      inlineStyleThreshold: 4096,
      // The app registers it itself, after the first load.
      serviceWorker: { register: false },
      // A component without runes would add Svelte's legacy mode to the bundle.
      compilerOptions: { runes: true }
    })
  ],
  server: {
    watch: { ignored: ['**/build/**'] },
    proxy: {
      '/r1': { target: server, ws: true },
      '/files': { target: server },
      '/health': { target: server }
    }
  }
});
