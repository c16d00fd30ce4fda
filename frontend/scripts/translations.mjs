// Translations of the UI messages.
//   node scripts/translations.mjs de            prints the messages that German lacks, as JSON with the English texts
//   node scripts/translations.mjs de done.json  adds these translations to messages/de.json, in the order of the English file
// Adding a language: docs/contributing.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';

const MESSAGES = join(import.meta.dirname, '../messages');

const placeholdersOf = (message) => [...new Set(JSON.stringify(message).match(/\{\w+\}/g))].sort().join();

/** Messages of the base language that a translation lacks. */
export const missing = (base, translated) =>
  Object.fromEntries(Object.entries(base).filter(([key]) => !(key in translated)));

/** Adds translations, in the order of the base. Throws if one is of no message or has other placeholders than the base. */
export function merge(base, translated, added) {
  for (const [key, message] of Object.entries(added)) {
    if (!(key in base)) throw new Error(`${key} is no message`);
    if (placeholdersOf(message) !== placeholdersOf(base[key])) throw new Error(`${key} has other placeholders`);
  }
  const all = { ...translated, ...added };
  return Object.fromEntries(
    Object.keys(base)
      .filter((key) => key in all)
      .map((key) => [key, all[key]])
  );
}

if (process.argv[1] === import.meta.filename) {
  const [language, file] = process.argv.slice(2);
  const read = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {});
  const path = join(MESSAGES, `${language}.json`);
  const base = read(join(MESSAGES, 'en.json'));
  if (file) {
    const merged = JSON.stringify(merge(base, read(path), read(file)), null, 2);
    writeFileSync(path, await format(merged, { ...(await resolveConfig(path)), parser: 'json' }));
  } else console.log(JSON.stringify(missing(base, read(path)), null, 2));
}
