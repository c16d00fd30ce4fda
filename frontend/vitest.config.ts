import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { playwright } from '@vitest/browser-playwright';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { headlessShell } from '../tests/browser/chromium.mjs';
import { compile, moduleOfAll, readSources } from './scripts/messages.mjs';

const SRC = join(import.meta.dirname, 'src');
const COMPONENT_TESTS = 'src/**/*.component.test.ts';

/** Serves all messages as one module, because the browser would request each of them, and because tests switch the language. */
const messagesInOne: Plugin = {
  name: 'natter:messages-in-one',
  load: (id) => (id === join(SRC, 'lib/paraglide/messages/_index.js') ? moduleOfAll(compile(readSources())) : undefined)
};

export default defineConfig({
  test: {
    projects: [
      // Stores and logic.
      {
        plugins: [svelte(), messagesInOne],
        test: {
          name: 'unit',
          include: ['{src,scripts}/**/*.test.ts'],
          exclude: [COMPONENT_TESTS],
          environment: 'node',
          // A process for each file took most of the time. What a file changes for all is undone behind it.
          isolate: false,
          // Thousands of drawn cases take a second or two; a machine that does something else as well takes longer.
          testTimeout: 60_000,
          setupFiles: ['./vitest.setup.ts']
        }
      },
      // Components in a browser. Whole pages are tested in a browser against the real server (`tests/browser`).
      {
        plugins: [tailwindcss(), svelte({ compilerOptions: { runes: true } }), messagesInOne],
        resolve: {
          alias: {
            '$app/state': join(SRC, 'lib/testing/app-state.svelte.ts'),
            '$app/navigation': join(SRC, 'lib/testing/app-navigation.ts')
          }
        },
        // Below node_modules it would add to the size of the installed packages.
        cacheDir: '.svelte-kit/vitest',
        // All at first: a package that is found later would reload the page in the middle of a test.
        optimizeDeps: { entries: ['src/lib/**/*.{svelte,ts}'] },
        test: {
          name: 'components',
          include: [COMPONENT_TESTS],
          // One page for all files, because each page loads the app anew, and only one page has the focus.
          isolate: false,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 15_000 } },
          setupFiles: ['./vitest.components.setup.ts'],
          browser: {
            enabled: true,
            headless: true,
            provider: playwright({
              launchOptions: headlessShell,
              contextOptions: { locale: 'en-GB', timezoneId: 'Europe/Berlin', reducedMotion: 'reduce' },
              actionTimeout: 15_000
            }),
            instances: [{ browser: 'chromium' }],
            // Preparing the packages for the first time takes long on a busy machine.
            connectTimeout: 300_000,
            viewport: { width: 1280, height: 800 },
            screenshotFailures: false
          }
        }
      }
    ]
  }
});
