import { basename } from 'node:path';
import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig, type Plugin } from 'vite';
import { firstLoad } from './scripts/first-load.mjs';
import { icons, slim } from './scripts/slim.mjs';
import { words } from './scripts/words.mjs';

/** KaTeX names its fonts in three forms; every browser that runs this app takes the first. */
const woff2Only: Plugin = {
  name: 'natter:woff2-only',
  enforce: 'pre',
  transform: (code, id) =>
    /katex.*\.css/.test(id) ? code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("\w+"\)/g, '') : null
};

const server = process.env.NATTER_SERVER ?? 'http://127.0.0.1:8080';

const first = firstLoad();
/** Pages whose files would come with a conversation for the little that is used there, too: the start is there soon. */
const LEFT = new Set(['settings', 'auth']);
const isOurs = (id: string) => /\/src\/lib\/|@lucide\/svelte|virtual:words$/.test(id);

export default defineConfig({
  environments: {
    client: {
      build: {
        rolldownOptions: {
          output: {
            // What several pages share comes in two files instead of forty: each request costs a phone more than its bytes.
            codeSplitting: {
              groups: [
                // SvelteKit puts the payload here before it loads what reads it; in a shared file all of that would run too
                // early, without its version, and take itself for outdated at each error: the page would load for ever.
                { name: 'payload', test: /runtime\/client\/payload\.js|vite\/preload-helper/, priority: 3 },
                // Styles that several parts bring along: in a file of scripts, all who need them would load those too.
                {
                  name: (id) => basename(id, '.css'),
                  test: /\/src\/styles\/(lines|pages|sheet|tables|writing)\.css$/,
                  priority: 3
                },
                { name: 'framework', test: /node_modules\/(svelte|esm-env|clsx)\//, priority: 2 },
                // Files of what pages need at first: what all do, what those of the app do, what only one does. Whatever is opened
                // by a click stays out of them.
                {
                  name: 'shared',
                  test: (id) => isOurs(id) && first.isNeededBy(id, 'auth', 'conversation'),
                  priority: 1
                },
                {
                  name: 'app',
                  test: (id) =>
                    isOurs(id) &&
                    (first.isNeededBy(id, 'conversation', 'start') || first.isNeededBy(id, 'conversation', 'settings')),
                  priority: 1
                },
                // What is said of errors is needed in many places and by no first page but those before sign-in: not a part of their forms.
                {
                  name: 'errors',
                  test: /\/lib\/(api\/(error-messages|field-errors\.svelte)\.ts|paraglide\/messages\/(error|auth_rule|password_rule)_\w+\.js)/,
                  priority: 0.9
                },
                // The little that the settings or the sign-in pages need at first and a conversation soon.
                {
                  name: (id) => (first.beside(id).includes('auth') ? 'soon-auth' : 'soon-settings'),
                  test: (id) =>
                    isOurs(id) && first.beside(id).length > 0 && first.beside(id).every((kind) => LEFT.has(kind)),
                  priority: 0.7
                },
                {
                  name: 'auth-start',
                  test: (id) => isOurs(id) && first.isNeededBy(id, 'auth', 'start'),
                  priority: 0.6
                },
                { name: 'form', test: (id) => isOurs(id) && first.isNeededBy(id, 'auth', 'settings'), priority: 0.5 },
                {
                  name: 'beside',
                  test: (id) => isOurs(id) && first.isNeededBy(id, 'settings', 'start'),
                  priority: 0.4
                },
                {
                  name: 'conversation',
                  test: (id) => isOurs(id) && first.isNeededBy(id, 'conversation'),
                  priority: 0.3
                },
                { name: 'settings', test: (id) => isOurs(id) && first.isNeededBy(id, 'settings'), priority: 0.3 },
                { name: 'start', test: (id) => isOurs(id) && first.isNeededBy(id, 'start'), priority: 0.3 },
                { name: 'auth', test: (id) => isOurs(id) && first.isNeededBy(id, 'auth'), priority: 0.3 },
                // The outbox is read before what else uses it comes.
                { name: 'storage', test: /node_modules\/idb-keyval\//, priority: 0.25 },
                // What comes by itself right after them: as two files, for in a hundred the asking alone keeps a phone busy for longer
                // than all that it reads in them.
                { name: 'frame', test: (id) => first.comesSoon(id, 'frame'), priority: 0.2 },
                { name: 'soon', test: (id) => first.comesSoon(id, 'conversation'), priority: 0.1 }
              ]
            }
          }
        }
      }
    }
  },
  // The policy lets no font come from the style itself.
  build: { assetsInlineLimit: (file) => (file.endsWith('.woff2') ? false : undefined) },
  // In one file: what the server says of a script lets it load no other.
  worker: { format: 'es', rolldownOptions: { output: { codeSplitting: false } } },
  plugins: [
    woff2Only,
    slim(),
    icons,
    first.plugin,
    tailwindcss(),
    words(),
    sveltekit({
      // No server rendering: every path that is not a file is the one page, which then reads the path.
      adapter: adapter({ fallback: 'index.html', precompress: true }),
      inlineStyleThreshold: 4096,
      // The app does it itself, once a page is quiet.
      serviceWorker: { register: false },
      // Also of a component that has none: a single one of the old kind would bring along what Svelte does for them all.
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
