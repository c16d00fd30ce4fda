// A first load brings words in the reader's language alone. The compiler of the messages writes each of them in every language into one
// module; here those that a page needs before it works are taken out into one table for each language, which the first layout loads. What
// is opened by a click keeps its words in its own file, in each language, and so do the doors and the settings: else a conversation would
// bring theirs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ISOLATING } from './isolate.mjs';
import { PAGES } from './pages.mjs';

const SRC = join(import.meta.dirname, '../src');
const COMPILED = join(SRC, 'lib/paraglide');
const WORDS = 'virtual:words';
const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?!type\b)(?:[^;'"]*?\bfrom\s*)?['"]([^'"]+)['"]/g;

export const { locales: LOCALES, baseLocale: BASE } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../project.inlang/settings.json'), 'utf8')
);

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

/** Every message by its name. One whose name is a word of the language itself is in a module of another name: it stays there. */
const compiled = () =>
  new Set(
    readdirSync(join(COMPILED, 'messages'))
      .map((file) => basename(file, '.js'))
      .filter((name) => !name.startsWith('_'))
  );

/** What the compiler wrote for one message in one language: a function. */
function functionOf(name, locale) {
  const code = readFileSync(join(COMPILED, 'messages', `${name}.js`), 'utf8');
  const begin = `const ${locale}_${name} = `;
  const at = code.indexOf(begin);
  const end = code.indexOf('\n};', at);
  if (at < 0 || end < 0) throw new Error(`the message ${name} has no ${locale} in the compiled messages`);
  return `${code.slice(at + begin.length, end)}\n}`;
}

/** A message that is asked for in the reader's language alone, without what would let another be chosen. ESLint tells of who does. */
function inOneLanguage(code) {
  const plain = code.replace('experimentalStaticLocale ?? options.locale ?? getLocale()', 'getLocale()');
  const given = plain.replace('((inputs, options = {}) => {', '((inputs) => {');
  if (given !== plain) return given;
  return plain
    .replace('((inputs = {}, options = {}) => {', '(() => {')
    .replaceAll(/\breturn (\w+)\(inputs\)/g, 'return $1()');
}

export function words() {
  let isBuild = false;
  /** The place of each message in the tables. Read when the messages are compiled. */
  let places;
  const placesOf = () => (places ??= new Map(firstWords(compiled()).map((name, place) => [name, place])));
  return {
    name: 'natter:words',
    configResolved(config) {
      isBuild = config.command === 'build';
    },
    buildStart() {
      places = undefined;
    },
    resolveId: (id) => (id.startsWith(WORDS) ? `\0${id}` : null),
    load(id) {
      // While one develops, each message has its languages beside it.
      if (id === `\0${WORDS}` && !isBuild) return 'export const load = async () => undefined;';
      if (id === `\0${WORDS}`) {
        const tables = LOCALES.map((locale) => `${JSON.stringify(locale)}: () => import('${tableOf(locale)}')`);
        return `${ISOLATING}
import { getLocale } from '#lib/paraglide/runtime.js';
const tables = { ${tables.join(', ')} };
let words;
export const load = async () => { words ??= (await tables[getLocale()]()).words; };
export const say = (place, inputs) => words[place](inputs && isolatedIn(inputs));`.replace('#lib', join(SRC, 'lib'));
      }
      const locale = LOCALES.find((one) => id === `\0${tableOf(one)}`);
      if (!locale) return null;
      const functions = [...placesOf().keys()].map((name) => functionOf(name, locale));
      return `import * as registry from '${join(COMPILED, 'registry.js')}';
export const words = [${functions.join(',\n')}];`;
    },
    transform(code, id) {
      if (!isBuild || this.environment.name !== 'client' || !id.startsWith(join(COMPILED, 'messages/'))) return null;
      const name = id.slice(join(COMPILED, 'messages/').length, -'.js'.length);
      const place = placesOf().get(name);
      if (place === undefined) return { code: inOneLanguage(code), map: null };
      return {
        code: `import { say } from '${WORDS}';\nexport const ${name} = (inputs) => say(${place}, inputs);`,
        map: null
      };
    }
  };
}
