import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

type Messages = Record<string, unknown>;

const FOLDER = join(import.meta.dirname, '../../../messages');
const LANGUAGES = readdirSync(FOLDER).map((file) => file.replace('.json', ''));

const written = (language: string) => readFileSync(join(FOLDER, `${language}.json`), 'utf8');
const read = (language: string) => JSON.parse(written(language)) as Messages;
const en = read('en');

const placeholders = (message: unknown) => [...new Set(JSON.stringify(message).match(/\{\w+\}/g))].toSorted();

it.each(LANGUAGES)('has the same keys and placeholders in %s as in English', (language) => {
  const messages = read(language);
  expect(Object.keys(messages).toSorted()).toEqual(Object.keys(en).toSorted());
  for (const [key, message] of Object.entries(en))
    expect(placeholders(messages[key]), key).toEqual(placeholders(message));
});

it.each(LANGUAGES)('has each key once in %s', (language) => {
  const keys = [...written(language).matchAll(/^ {2}"(\w+)":/gm)].map(([, key]) => key);
  expect(keys.length).toBeGreaterThan(1_000);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
});

/** Phrases that the rules in docs/contributing.md replace by others. */
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
  /^"what (?:you|happen)/,
  /\bmarkdown works\b/,
  /^"no \w+ matches\b/,
  /!$/
];

it('uses no discouraged phrases', () => {
  const found = Object.entries(en).filter(([, message]) => {
    const text = JSON.stringify(message).toLowerCase().replace(/"$/, '');
    return OLD.some((pattern) => pattern.test(text));
  });
  expect(found).toEqual([]);
});

/** Nouns after a number. A message with one of them also needs a singular form, by a second key or by plural rules. */
const COUNTED =
  /\{\w+\} (?:more |new )?(?:announcements|bytes|calls|characters|credits|days|drafts|files|hours|instances|messages|minutes|notes|payments|people|pictures|replies|results|seats|seconds|sections|tokens|words|models)\b/;

/** Messages whose number is never one. */
const FROM_TWO_ON = [
  'activity_wrote_you',
  'admin_model_context',
  'announcement_body_hint',
  'announcements_more',
  'attach_too_many',
  'chat_new_many',
  'chat_notifies',
  'chat_offline_many',
  'chat_show_all',
  'chat_too_long',
  'chat_typing_many',
  'context_of',
  'dnd_minutes',
  'files_many',
  'hours',
  'key_some_models',
  'knowledge_all',
  'knowledge_full',
  'knowledge_limits',
  'knowledge_reading_of',
  'mail_after_minutes',
  'model_window',
  'password_rule_length',
  'report_times',
  'search_count_more',
  'slow_seconds',
  'tool_field_short',
  'users_idle_days'
];

it('has a singular for each counted noun', () => {
  const bare = Object.entries(en).filter(
    ([key, message]) => typeof message === 'string' && COUNTED.test(message) && !isSaidOfOne(key)
  );
  expect(bare.map(([key]) => key).toSorted()).toEqual(FROM_TWO_ON);
});

/**
 * Whether a key is the singular form of another: `facts_tokens_one` of `facts_tokens`, `sign_out_note` of `sign_out_notes`, `thread_reply_one` of
 * `thread_replies`.
 */
function isSaidOfOne(key: string): boolean {
  const single = key.replace(/ies$/, 'y').replace(/s$/, '');
  return [`${key}_one`, `${single}_one`, ...(single === key ? [] : [single])].some((twin) => twin in en);
}
