import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

type Messages = Record<string, unknown>;

const written = (language: string) =>
  readFileSync(join(import.meta.dirname, `../../messages/${language}.json`), 'utf8');
const [en, vi] = ['en', 'vi'].map((language) => JSON.parse(written(language)) as Messages) as [Messages, Messages];

const placeholders = (message: unknown) => [...new Set(JSON.stringify(message).match(/\{\w+\}/g))].toSorted();

it('says in each language what it says in the other', () => {
  expect(Object.keys(vi).toSorted()).toEqual(Object.keys(en).toSorted());
  for (const [key, message] of Object.entries(en)) expect(placeholders(vi[key]), key).toEqual(placeholders(message));
});

it.each(['en', 'vi'])(
  'says each thing once in %s: of two of one name the second would be said in place of the first',
  (language) => {
    const keys = [...written(language).matchAll(/^ {2}"(\w+)":/gm)].map(([, key]) => key);
    expect(keys.length).toBeGreaterThan(1_000);
    expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
  }
);

/** What was written so once, and is said otherwise by the rules in docs/contributing.md. */
const OLD = [
  /\bby itself\b/,
  /\bat once\b/,
  /\bany more\b/,
  /\bwhoever\b/,
  /\bnobody\b/,
  /\ball is\b/,
  /\bgoes on\b/,
  /\banew\b/,
  /\bstands?\b/,
  /\bchoose none\b/,
  /\basks for\b(?! approval)/,
  /\bways? to pay\b/,
  /\be-mail\b/,
  /\b(?:could|did|does|do|is|was|has) not\b(?! disturb)/,
  /\bcan ?not\b/,
  /!$/
];

it('has no sentence of the old voice', () => {
  const found = Object.entries(en).filter(([, message]) => {
    const text = JSON.stringify(message).toLowerCase().replace(/"$/, '');
    return OLD.some((pattern) => pattern.test(text));
  });
  expect(found).toEqual([]);
});
