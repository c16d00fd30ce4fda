// The server's description: the committed files of openapi/, each of a tag, are merged into one document.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../openapi');

/** The whole document. */
export function description() {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  const parts = files.sort().map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')));
  return sorted(parts.reduce(merge, {}));
}

/** Both objects as one. A key that both have is an object in both. */
function merge(one, other) {
  const merged = { ...one };
  for (const [key, value] of Object.entries(other)) merged[key] = key in one ? merge(one[key], value) : value;
  return merged;
}

/** Paths and components in the order of their names, in which the server prints them. */
function sorted({ paths, components, ...others }) {
  const kinds = Object.entries(components).map(([kind, named]) => [kind, byName(named)]);
  return { ...others, paths: byName(paths), components: Object.fromEntries(kinds) };
}

function byName(named) {
  return Object.fromEntries(Object.entries(named).sort(([one], [other]) => (one < other ? -1 : 1)));
}
