import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { placeOf } from '#lib/features/conversations/logic/citation-labels.ts';
import { isolated } from './bidi-isolate.ts';
import { m } from '../paraglide/messages.js';

const NAMES = ['محمد', 'נועה לוי', 'ܐܒܐ', '\u{1e900}\u{1e901}', 'Anna محمد'];

it.each(NAMES)('isolates the direction of %s', (name) => {
  const apart = `\u2068${name}\u2069`;
  expect(isolated(name)).toBe(apart);
  expect(m.chat_typing_one({ name })).toBe(`${apart} is typing`);
  expect(m.chat_typing_two({ name: 'Mai', other: name })).toBe(`Mai and ${apart} are typing`);
  expect(m.channels_count({ count: 2, amount: '2', workspace: name })).toBe(`2 public channels in ${apart}`);
});

it('adds nothing to left-to-right text', () => {
  for (const text of ['Mai Trần', 'Анна', '小明', '민수', '😀', '12', '']) expect(isolated(text)).toBe(text);
  expect(isolated(12)).toBe(12);
  expect(m.chat_typing_two({ name: 'Mai', other: 'Trần' })).toBe('Mai and Trần are typing');
});

it('isolates file names in citations', () => {
  const cited = { file_name: 'דוח.pdf', page: 3, heading: 'סיכום', line: null };
  expect(placeOf(cited)).toBe('\u2068דוח.pdf\u2069, page 3, \u2068סיכום\u2069');
});

/** Components whose headings are always our own messages. */
const OURS = ['auth-form', 'error-page', 'workspace-page'].map((name) => `${name}.svelte`);
/** Titles of pages and labels that are composed of texts, where `<bdi>` can't be used. */
const TITLE = /<title>(.*?)<\/title>/g;
const LABEL = /\s(?:aria-label|alt|title)="([^"]*)"/g;
const isName = (put: string) => /^(?:[\w.]*[nN]ame|[\w.]*[tT]itle)$/.test(put);

it('isolates names in page titles and composed labels', () => {
  const root = join(import.meta.dirname, '../..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.svelte'));
  let titles = 0;
  const found = files.flatMap((file) => {
    const code = readFileSync(join(root, file), 'utf8');
    const texts = [...code.matchAll(LABEL)].map(([, text = '']) => text);
    if (!OURS.some((own) => file.endsWith(own))) {
      const own = [...code.matchAll(TITLE)].map(([, text = '']) => text);
      titles += own.length;
      // This title was composed before, together with the number of unread messages.
      texts.push(...own.filter((text) => text !== '{title}'));
    }
    // Names of emoji contain only Latin letters.
    const put = texts.filter((text) => !text.startsWith(':')).flatMap((text) => text.match(/\{[^{}]*\}/g) ?? []);
    return put
      .map((one) => one.slice(1, -1))
      .filter(isName)
      .map((name) => `${file}: ${name}`);
  });
  expect(titles).toBeGreaterThan(20);
  expect(found).toEqual([]);
});
