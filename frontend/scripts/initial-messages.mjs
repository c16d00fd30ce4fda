// Messages that the start page and a conversation show at first. The compiler puts them into one module per language, so that a first load
// brings one language. Other messages have all languages in their own module, which comes with the part of the app that uses it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { targetOf } from './feature-boundaries.mjs';
import { PAGES } from './pages.mjs';

const SRC = join(import.meta.dirname, '../src');
const STATIC_IMPORT = /(?:^|\n)\s*(?:import|export)\s(?!type\b)(?:[^;'"]*?\bfrom\s*)?['"]([^'"]+)['"]/g;

/** Names of the messages that the files of these pages use, and the files that they import statically. */
export function initialMessages(known) {
  const [seen, used] = [new Set(), new Set()];
  const pages = PAGES.filter(({ kind }) => kind === 'conversation' || kind === 'start');
  const waiting = ['routes/+layout.svelte', ...pages.flatMap(({ files }) => files)].flatMap((file) => [
    join(SRC, file),
    join(SRC, file.replace(/\.svelte$/, '.ts'))
  ]);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || !/\.(svelte|ts)$/.test(file) || !existsSync(file)) continue;
    seen.add(file);
    const code = readFileSync(file, 'utf8');
    for (const [, name] of code.matchAll(/\bm\.(\w+)/g)) if (known.has(name)) used.add(name);
    for (const [, source] of code.matchAll(STATIC_IMPORT)) {
      const target = targetOf(file, source);
      if (target) waiting.push(join(SRC, target));
    }
  }
  return [...used].sort();
}
