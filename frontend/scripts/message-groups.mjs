// Groups of messages that are loaded together. The compiler makes one module of each group and language, so that a browser loads the texts of one
// language only.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { targetOf } from './feature-boundaries.mjs';
import { DEFERRED, PAGES, ROOT_FILES } from './pages.mjs';

const SRC = join(import.meta.dirname, '../src');
const STATIC_IMPORT = /(?:^|\n)\s*(?:import|export)\s(?!type\b)(?:[^;'"]*?\bfrom\s*)?['"]([^'"]+)['"]/g;
/** Files of the admin console. */
const CONSOLE = /^routes\/.*\badmin\b|^lib\/features\/console\/|^lib\/features\/\w+\/admin\//;

/** Group of the messages that the start page and a conversation show at first; they are loaded before the first render. */
export const INITIAL = 'initial';

const filesOf = (kinds) => PAGES.filter(({ kind }) => kinds.includes(kind)).flatMap(({ files }) => files);
/** Groups by the files that use them. A message belongs to the first group that needs it. */
const STATIC_GROUPS = {
  [INITIAL]: [...ROOT_FILES, ...filesOf(['conversation', 'start'])],
  auth: [...ROOT_FILES, ...filesOf(['auth'])],
  settings: filesOf(['settings']),
  frame: Object.values(DEFERRED).flatMap((files) => files.map((file) => `lib/${file}`))
};
/** All groups. `console` has what only the admin console uses, `rest` all other messages. */
export const GROUPS = [...Object.keys(STATIC_GROUPS), 'console', 'rest'];

/** Names of messages that the code of a file uses. */
function namesIn(file) {
  return [...readFileSync(file, 'utf8').matchAll(/\bm\.(\w+)/g)].map(([, name]) => name);
}

/** Files that these files import statically, with themselves. */
function withImports(files) {
  const seen = new Set();
  const waiting = files.flatMap((file) => [join(SRC, file), join(SRC, file.replace(/\.svelte$/, '.ts'))]);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || !/\.(svelte|ts)$/.test(file) || !existsSync(file)) continue;
    seen.add(file);
    for (const [, source] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
      const target = targetOf(file, source);
      if (target) waiting.push(join(SRC, target));
    }
  }
  return seen;
}

/** The group of each of these messages, by name. */
export function groupMessages(known) {
  const groups = new Map();
  for (const [group, files] of Object.entries(STATIC_GROUPS))
    for (const file of withImports(files))
      for (const name of namesIn(file)) if (known.has(name) && !groups.has(name)) groups.set(name, group);
  for (const entry of readdirSync(SRC, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(SRC, file);
    if (!/\.(svelte|ts)$/.test(path) || path.startsWith('lib/paraglide/')) continue;
    const group = CONSOLE.test(path) ? 'console' : 'rest';
    for (const name of namesIn(file))
      if (known.has(name) && (!groups.has(name) || groups.get(name) === 'console')) groups.set(name, group);
  }
  for (const name of known.keys()) if (!groups.has(name)) groups.set(name, 'rest');
  return groups;
}
