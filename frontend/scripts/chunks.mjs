// Files of the build that a page needs at first, read from Vite's manifest.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_FILES } from './pages.mjs';

export const ROOT = join(import.meta.dirname, '..');
export const BUILD = join(ROOT, 'build');

const NODES = '.svelte-kit/generated/build/client-optimized/nodes';
const CLIENT = 'node_modules/@sveltejs/kit/src/runtime/client';

/** Entry points of every page. */
const STARTS = [
  `${CLIENT}/entry.js`,
  `${CLIENT}/client-entry.js`,
  '.svelte-kit/generated/build/client-optimized/app.js',
  ...ROOT_FILES.map(nodeOf)
];

const manifest = JSON.parse(readFileSync(join(ROOT, '.svelte-kit/output/client/.vite/manifest.json'), 'utf8'));

/** Manifest key of the generated module that imports one page or layout. */
function nodeOf(page) {
  const brings = (file) => readFileSync(join(ROOT, NODES, file), 'utf8').includes(`/${page}`);
  const node = readdirSync(join(ROOT, NODES)).find(brings);
  if (!node) throw new Error(`nothing in the build imports ${page}: has it moved?`);
  return `${NODES}/${node}`;
}

/** The scripts and styles of a page, without what it loads later and without its messages, of which it has the groups. */
export const filesOf = (page) => filesFrom([...STARTS, ...page.files.map(nodeOf)]);

/** Script of a group of messages in a language. */
export const messagesOf = (group, locale) => manifest[`src/lib/paraglide/groups/${group}/${locale}.js`].file;

function filesFrom(keys) {
  const [scripts, styles, groups] = [new Set(), new Set(), new Set()];
  const gather = (key) => {
    const chunk = manifest[key];
    if (!chunk) throw new Error(`the build has no ${key}`);
    if (scripts.has(chunk.file)) return;
    scripts.add(chunk.file);
    for (const file of chunk.css ?? []) styles.add(file);
    for (const other of chunk.imports ?? []) gather(other);
    for (const other of chunk.dynamicImports ?? []) {
      const group = /\/paraglide\/groups\/(\w+)\/\w+\.js$/.exec(other)?.[1];
      if (group) groups.add(group);
    }
  };
  for (const key of keys) gather(key);
  return { scripts: [...scripts], styles: [...styles], groups: [...groups] };
}
