// What of the build a page needs, read from Vite's manifest.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCALES } from './messages.mjs';
import { tableOf } from './words.mjs';

export const ROOT = join(import.meta.dirname, '..');
export const BUILD = join(ROOT, 'build');

const NODES = '.svelte-kit/generated/build/client-optimized/nodes';
const CLIENT = 'node_modules/@sveltejs/kit/src/runtime/client';

/** What starts the app, whatever the page. */
const STARTS = [
  `${CLIENT}/entry.js`,
  `${CLIENT}/client-entry.js`,
  '.svelte-kit/generated/build/client-optimized/app.js',
  nodeOf('routes/+layout.svelte')
];

const manifest = JSON.parse(readFileSync(join(ROOT, '.svelte-kit/output/client/.vite/manifest.json'), 'utf8'));

/** The manifest's key of the generated module that brings in one page or layout. */
function nodeOf(page) {
  const brings = (file) => readFileSync(join(ROOT, NODES, file), 'utf8').includes(`/${page}`);
  const node = readdirSync(join(ROOT, NODES)).find(brings);
  if (!node) throw new Error(`nothing in the build brings in ${page}: has it moved?`);
  return `${NODES}/${node}`;
}

/** The scripts and styles of a page, without what it loads later and without the reader's words. */
export const filesOf = (page) => filesFrom([...STARTS, ...page.files.map(nodeOf)]);

/** For each language the scripts with what the pages say in it at first. */
export const words = Object.fromEntries(LOCALES.map((locale) => [locale, filesFrom([tableOf(locale)]).scripts]));

function filesFrom(keys) {
  const [scripts, styles] = [new Set(), new Set()];
  const gather = (key) => {
    const chunk = manifest[key];
    if (!chunk) throw new Error(`the build has no ${key}`);
    if (scripts.has(chunk.file)) return;
    scripts.add(chunk.file);
    for (const file of chunk.css ?? []) styles.add(file);
    for (const other of chunk.imports ?? []) gather(other);
  };
  for (const key of keys) gather(key);
  return { scripts: [...scripts], styles: [...styles] };
}
