// What a browser loads before a page works: its JavaScript, compressed. Fails when it is more than we allow. Run after a build.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const LIMIT = 130 * 1024;
const ROOT = join(import.meta.dirname, '..');
const NODES = '.svelte-kit/generated/build/client-optimized/nodes';

const PAGES = {
  'sign-in': ['routes/+layout.svelte', 'routes/(auth)/+layout.svelte', 'routes/(auth)/sign-in/+page.svelte'],
  'a conversation': ['routes/+layout.svelte', 'routes/(app)/+layout.svelte', 'routes/(app)/c/[id]/+page.svelte']
};

/** What starts the app, whatever the page. */
const STARTS = [
  'node_modules/@sveltejs/kit/src/runtime/client/entry.js',
  'node_modules/@sveltejs/kit/src/runtime/client/client-entry.js',
  '.svelte-kit/generated/build/client-optimized/app.js'
];

const manifest = JSON.parse(readFileSync(join(ROOT, '.svelte-kit/output/client/.vite/manifest.json'), 'utf8'));

/** The manifest's key of the generated module that brings in one page or layout. */
function nodeOf(page) {
  const node = readdirSync(join(ROOT, NODES)).find((file) =>
    readFileSync(join(ROOT, NODES, file), 'utf8').includes(page)
  );
  if (!node) throw new Error(`nothing in the build brings in ${page}: has it moved?`);
  return `${NODES}/${node}`;
}

function gather(key, files) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`the build has no ${key}`);
  if (files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const other of chunk.imports ?? []) gather(other, files);
}

let isTooMuch = false;
for (const [name, pages] of Object.entries(PAGES)) {
  const files = new Set();
  for (const key of [...STARTS, ...pages.map(nodeOf)]) gather(key, files);
  const bytes = [...files].reduce((sum, file) => sum + statSync(join(ROOT, 'build', `${file}.br`)).size, 0);
  isTooMuch ||= bytes > LIMIT;
  console.log(
    `${name}: ${(bytes / 1024).toFixed(1)} KiB of JavaScript in ${files.size} files, allowed are ${LIMIT / 1024} KiB`
  );
}
process.exit(isTooMuch ? 1 : 0);
