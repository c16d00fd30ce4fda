// Compiler of the UI messages: turns messages/*.json into typed functions below src/lib/paraglide, one module per message, so that a bundle
// contains only the messages that it uses. The texts are in one module per group and language (message-groups.mjs), of which a page loads its
// own language. The compiler knows the part of the inlang message format that the files use: texts with `{inputs}`, and variants selected by
// plural categories. Anything else is an error. The folder is named after the library that did this before.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GROUPS, INITIAL, groupMessages } from './message-groups.mjs';

const ROOT = join(import.meta.dirname, '..');
const SOURCE = join(ROOT, 'messages');
const COMPILED = join(ROOT, 'src/lib/paraglide');

/** The language of messages that have no translation. */
export const BASE = 'en';
const found = readdirSync(SOURCE).map((file) => basename(file, '.json'));
/** All languages, the base first. */
export const LOCALES = [BASE, ...found.filter((locale) => locale !== BASE).sort()];

/** Imports of the functions that compiled code calls. */
const IMPORTS = `import { isolatedIn } from '../../i18n/bidi-isolate.ts';
import { getLocale, number, plural } from '../../i18n/locale.ts';
`;

const LOCAL = /^local (\w+) = (\w+): (plural|number)$/;
const template = (text) => text.replace(/[`\\]|\$(?=\{)/g, '\\$&');

/** Splits a text at its placeholders: texts at even places, names of inputs or variables at odd ones. */
function partsOf(text) {
  const parts = text.split(/\{(\w+)\}/);
  if (parts.some((part, place) => place % 2 === 0 && /[{}]/.test(part))) throw new Error(`stray brace in “${text}”`);
  return parts;
}

const placeholdersOf = (text) => partsOf(text).filter((_, place) => place % 2 === 1);

/** Parses a message in one language: its variants as [conditions, text], and the inputs that it declares or uses. */
function parse(source) {
  if (typeof source === 'string') {
    return { inputs: placeholdersOf(source), locals: {}, selectors: [], variants: [[[], source]] };
  }
  const [{ declarations, selectors, match }, ...rest] = source;
  if (rest.length > 0) throw new Error('more than one set of variants');
  const inputs = declarations.filter((one) => one.startsWith('input ')).map((one) => one.slice('input '.length));
  const locals = {};
  for (const declaration of declarations.filter((one) => !one.startsWith('input '))) {
    const [, name, input, kind] = LOCAL.exec(declaration) ?? [];
    if (!inputs.includes(input)) throw new Error(`can't read “${declaration}”`);
    locals[name] = { input, kind };
  }
  const variants = Object.entries(match).map(([key, text]) => {
    for (const name of placeholdersOf(text))
      if (!inputs.includes(name) && locals[name]?.kind !== 'number') throw new Error(`{${name}} is not declared`);
    const conditions = key === '' ? [] : key.split(',').map((condition) => condition.trim().split('='));
    const names = conditions.map(([name]) => name);
    if (names.join() !== selectors.join()) throw new Error(`“${key}” does not fit the selectors`);
    return [conditions.map(([, category]) => category), text];
  });
  for (const name of selectors) if (locals[name]?.kind !== 'plural') throw new Error(`${name} is no plural`);
  return { inputs, locals, selectors, variants };
}

/** The JavaScript expression for a message in one language; its inputs are the fields of `i`. */
function expressionOf({ locals, selectors, variants }, locale) {
  const call = (name) => `${locals[name].kind}(${JSON.stringify(locale)}, i.${locals[name].input})`;
  const written = (text) => {
    const put = (part, place) =>
      place % 2 === 0 ? template(part) : `\${${part in locals ? call(part) : `i.${part}`}}`;
    return `\`${partsOf(text).map(put).join('')}\``;
  };
  const choice = (left, depth) => {
    if (depth === selectors.length && left.length === 1) return written(left[0][1]);
    const known = new Intl.PluralRules(locale).resolvedOptions().pluralCategories;
    const categories = [...new Set(left.map(([conditions]) => conditions[depth]))];
    if (categories.length !== known.length || categories.some((category) => !known.includes(category)))
      throw new Error(`has the plurals ${categories.join(', ')}; the language has ${known.join(', ')}`);
    const fitting = (category) => left.filter(([conditions]) => conditions[depth] === category);
    const branch = (category) => choice(fitting(category), depth + 1);
    const others = categories.filter((category) => category !== 'other');
    const tests = others.map((category) => `${call(selectors[depth])} === "${category}" ? ${branch(category)} : `);
    return `(${tests.join('')}${branch('other')})`;
  };
  return choice(variants, 0);
}

/** Compiles the sources of all languages: for each message its inputs and, by language, an expression. */
export function compile(sources) {
  const messages = new Map();
  for (const [locale, source] of Object.entries(sources))
    for (const name in source)
      if (!(name in sources[BASE])) throw new Error(`messages/${BASE}.json lacks ${name} of ${locale}`);
  for (const [name, base] of Object.entries(sources[BASE])) {
    if (name === '$schema') continue;
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`the message “${name}” can't be a file’s name`);
    const message = { text: base, inputs: new Set(), expressions: {} };
    for (const [locale, source] of Object.entries(sources)) {
      try {
        const parsed = parse(source[name] ?? base);
        for (const input of parsed.inputs) message.inputs.add(input);
        message.expressions[locale] = expressionOf(parsed, name in source ? locale : BASE);
      } catch (error) {
        throw new Error(`messages/${locale}.json: ${name}: ${error.message}`, { cause: error });
      }
    }
    messages.set(name, message);
  }
  return messages;
}

/** Function of one message: selects the language at each call. */
function functionOf({ inputs, expressions }) {
  const others = Object.entries(expressions).filter(([locale]) => locale !== BASE);
  const tests = others.map(([locale, expression]) => `getLocale() === "${locale}" ? ${expression} : `);
  const chosen = `${tests.join('')}${expressions[BASE]}`;
  return inputs.size === 0 ? `() => ${chosen}` : `(inputs) => { const i = isolatedIn(inputs); return ${chosen}; }`;
}

/** Module of one message: reads it from the module of its group in the current language, where it has this index. */
export function moduleOf(name, { inputs }, group, index) {
  const body = inputs.size === 0 ? `() => text(${index})` : `(inputs) => text(${index}, inputs)`;
  // A name may be a reserved word, which can be exported but not declared.
  return `import { text } from '../groups/${group}.js';\nconst message = ${body};\nexport { message as ${name} };\n`;
}

/** Module of all messages in all languages, for tests. */
export function moduleOfAll(messages) {
  const exported = [...messages].map(
    ([name, message], index) =>
      `const message${index} = ${functionOf(message)};\nexport { message${index} as ${name} };\n`
  );
  return IMPORTS + exported.join('');
}

/**
 * Module of the messages of a group in one language. It imports nothing: the module that waits for it may be in the same file of the build as
 * what it would import.
 */
function tableOf(messages, locale) {
  const functions = messages.map(
    ({ inputs, expressions }) => `${inputs.size > 0 ? '(i)' : '()'} => ${expressions[locale]}`
  );
  return `export const table = (number, plural) => [\n${functions.join(',\n')}\n];\n`;
}

/** Module of a group: loads its messages in the current language. */
function groupModuleOf(group) {
  const modules = LOCALES.map((locale) => `  ${locale}: () => import('./${group}/${locale}.js')`);
  const start = `${IMPORTS}
const modules = {
${modules.join(',\n')}
};
`;
  if (group === INITIAL)
    return `${start}const loaded = {};

export async function loadMessages(locale = getLocale()) {
  loaded[locale] ??= (await modules[locale]()).table(number, plural);
}

export const text = (index, inputs) => loaded[getLocale()][index](inputs && isolatedIn(inputs));
`;
  return `${start}// Whatever uses these messages waits for them.
const table = (await modules[getLocale()]()).table(number, plural);

export const text = (index, inputs) => table[index](inputs && isolatedIn(inputs));
`;
}

const INITIAL_TYPES = `/** Loads the messages that pages show at first; must be done before the first of them is shown. */
export declare function loadMessages(locale?: ${LOCALES.map((locale) => `'${locale}'`).join(' | ')}): Promise<void>;
`;

/** TypeScript declaration of all messages, each with its text in the base language. */
export function declarationOf(messages) {
  const lines = [...messages].map(([name, { text, inputs }]) => {
    const fields = [...inputs].map((input) => `${input}: NonNullable<unknown>`).join(', ');
    const shown = typeof text === 'string' ? text : Object.values(text[0].match).join(' | ');
    return `  /** ${shown.replaceAll('*/', '*\\/')} */\n  ${name}: (${fields && `inputs: { ${fields} }`}) => string;\n`;
  });
  return `export declare const m: {\n${lines.join('')}};\n`;
}

export const readSources = () =>
  Object.fromEntries(
    LOCALES.map((locale) => [locale, JSON.parse(readFileSync(join(SOURCE, `${locale}.json`), 'utf8'))])
  );

/** Compiles the message files and writes what has changed. */
export function writeMessages(folder = COMPILED, messages = compile(readSources()), groups = groupMessages(messages)) {
  const files = new Map();
  for (const group of GROUPS) {
    const members = [...messages].filter(([name]) => groups.get(name) === group);
    members.forEach(([name, message], index) =>
      files.set(`messages/${name}.js`, moduleOf(name, message, group, index))
    );
    files.set(`groups/${group}.js`, groupModuleOf(group));
    const texts = members.map(([, message]) => message);
    for (const locale of LOCALES) files.set(`groups/${group}/${locale}.js`, tableOf(texts, locale));
  }
  files.set('messages/_index.js', [...messages.keys()].map((name) => `export * from './${name}.js';\n`).join(''));
  files.set('messages.js', "export * as m from './messages/_index.js';\n");
  files.set('messages.d.ts', declarationOf(messages));
  files.set(`groups/${INITIAL}.d.ts`, INITIAL_TYPES);
  for (const file of files.keys()) mkdirSync(join(folder, dirname(file)), { recursive: true });
  const present = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const known = new Set(present.map((entry) => join(entry.parentPath, entry.name)));
  for (const [file, code] of files) {
    const path = join(folder, file);
    if (!known.delete(path) || readFileSync(path, 'utf8') !== code) writeFileSync(path, code);
  }
  for (const path of known) rmSync(path);
}

/** Vite plugin: compiles the messages before a build, and again when one of their files changes. */
export const messagesPlugin = {
  name: 'natter:messages',
  buildStart: () => writeMessages(),
  // A group that waits for its texts would be part of every file that uses any message.
  transform: (code, id) => (id.startsWith(join(COMPILED, 'groups')) ? { code, moduleSideEffects: false } : undefined),
  configureServer({ watcher, config }) {
    watcher.add(SOURCE).on('change', (path) => {
      if (!path.startsWith(SOURCE)) return;
      try {
        writeMessages();
      } catch (error) {
        config.logger.error(error.message);
      }
    });
  }
};

if (process.argv[1] === import.meta.filename) writeMessages();
