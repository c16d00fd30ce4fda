// A first load brings words in the reader's language alone. The compiler of the messages writes each of them in every language into one
// module; here those that a page needs before it works are taken out into one table for each language, which the first layout loads. What
// is opened by a click keeps its words in its own file, in each language, and so do the sign-in pages and the settings: else a conversation would
// bring theirs.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMPILED, importsOf, LOCALES, SOURCE, writeMessages } from './messages.mjs';
import { PAGES } from './pages.mjs';

const SRC = join(import.meta.dirname, '../src');
const LIB = join(SRC, 'lib');
const MODULES = join(COMPILED, 'messages/');
const WORDS = 'virtual:words';
const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?!type\b)(?:[^;'"]*?\bfrom\s*)?['"]([^'"]+)['"]/g;

/** The table of a language as a module: the build's manifest has it by this end of its name. */
export const tableOf = (locale) => `${WORDS}/${locale}`;

/** Whose words are in the tables. */
const KINDS = new Set(['conversation', 'start']);

/** Keys of the messages that some of these pages need at first: what their files name, and what those import. */
export function firstWords(known) {
  const [seen, used] = [new Set(), new Set()];
  const pages = PAGES.filter(({ kind }) => KINDS.has(kind));
  const waiting = ['routes/+layout.svelte', ...pages.flatMap(({ files }) => files)].flatMap((file) => [
    join(SRC, file),
    join(SRC, file.replace(/\.svelte$/, '.ts'))
  ]);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || file.startsWith(COMPILED) || !/\.(svelte|ts)$/.test(file) || !existsSync(file)) continue;
    seen.add(file);
    const code = readFileSync(file, 'utf8');
    for (const [, name] of code.matchAll(/\bm\.(\w+)/g)) if (known.has(name)) used.add(name);
    for (const [, other] of code.matchAll(IMPORT)) {
      if (other.startsWith('#lib/')) waiting.push(join(SRC, 'lib', other.slice('#lib/'.length)));
      if (other.startsWith('.')) waiting.push(join(dirname(file), other));
    }
  }
  return [...used].sort();
}

/** Function of one message in one language, as code. */
const functionOf = ({ inputs, expressions }, locale) => `${inputs.size > 0 ? '(i)' : '()'} => ${expressions[locale]}`;

export function words() {
  let isBuild = false;
  let messages;
  /** The place of each message in the tables. */
  let places;
  return {
    name: 'natter:words',
    configResolved(config) {
      isBuild = config.command === 'build';
    },
    buildStart() {
      messages = writeMessages();
      places = new Map(firstWords(messages).map((name, place) => [name, place]));
    },
    /** Compiles the messages again when a file of them changes. */
    configureServer({ watcher, config }) {
      const update = (path) => {
        if (!path.startsWith(SOURCE)) return;
        try {
          writeMessages();
        } catch (error) {
          config.logger.error(error.message);
        }
      };
      watcher.add(SOURCE).on('change', update);
    },
    resolveId: (id) => (id.startsWith(WORDS) ? `\0${id}` : null),
    load(id) {
      // While one develops, each message has its languages beside it.
      if (id === `\0${WORDS}` && !isBuild) return 'export const load = async () => undefined;';
      if (id === `\0${WORDS}`) {
        const tables = LOCALES.map((locale) => `${JSON.stringify(locale)}: () => import('${tableOf(locale)}')`);
        const code = `const tables = { ${tables.join(', ')} };
let words;
export const load = async () => { words ??= (await tables[getLocale()]()).words; };
export const say = (place, inputs) => words[place](inputs && isolatedIn(inputs));`;
        return importsOf(code, LIB) + code;
      }
      const locale = LOCALES.find((one) => id === `\0${tableOf(one)}`);
      if (!locale) return null;
      const functions = [...places.keys()].map((name) => functionOf(messages.get(name), locale));
      const code = `export const words = [${functions.join(',\n')}];`;
      return importsOf(code, LIB) + code;
    },
    transform(code, id) {
      if (!isBuild || this.environment.name !== 'client' || !id.startsWith(MODULES)) return null;
      const name = id.slice(MODULES.length, -'.js'.length);
      const place = places.get(name);
      if (place === undefined) return null;
      const body = messages.get(name).inputs.size > 0 ? `(inputs) => say(${place}, inputs)` : `() => say(${place})`;
      return {
        code: `import { say } from '${WORDS}';\nconst message = ${body};\nexport { message as ${name} };`,
        map: null
      };
    }
  };
}
