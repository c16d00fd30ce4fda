import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { overwriteLocale } from '#lib/i18n/locale.ts';
import { ApiError, failureOf, type Details } from './client.ts';
import './field-messages.ts';
import { fieldError, errorMessage, translated } from './error-messages.ts';

afterEach(() => overwriteLocale('en'));

it('distinguishes responses of a proxy from those of the server', () => {
  const told = (status: number, text = '<html>no</html>') => errorMessage(failureOf(status, text, () => null));
  expect(told(413)).toBe('This is too large for the proxy in front of the server. Ask your admin.');
  expect(told(502)).toMatch(/isn’t responding/);
  // The response is HTML instead of JSON.
  expect(told(200)).toMatch(/isn’t responding/);
  expect(told(405)).toMatch(/between you and the server/);
  for (const text of ['', '[]', 'null', '{"code":413,"message":{"en":"no"},"errors":"x"}', '{"success":false}'])
    expect(told(413, text)).toMatch(/too large for the proxy/);
  expect(told(504, '{"code":504}')).toMatch(/isn’t responding/);
  expect(told(413, JSON.stringify({ code: 'too_large', message: 'Too large for us.' }))).toBe('Too large for us.');
});

it('explains a full disk and the removal from a channel', () => {
  const told = (status: number, code: string) =>
    errorMessage(failureOf(status, JSON.stringify({ code, message: code }), () => null));
  expect(told(507, 'storage_full')).toMatch(/storage is full/);
  expect(told(403, 'removed')).toMatch(/Ask someone who manages it/);
  expect(told(500, 'internal')).toMatch(/had a problem/);
});

/** Error codes for which the app has no text of its own and shows the server’s message, by the reason for that. */
const LEFT: Record<string, string[]> = {
  'only programs that are wrong are told': [
    'malformed_body',
    'malformed_request',
    'malformed_frame',
    'unknown_type',
    'cross_site',
    'scope_missing',
    'method_not_allowed',
    'not_acceptable',
    'unsupported_media_type',
    'tus_version',
    'upload_conflict',
    'wrong_host',
    'client_gone'
  ],
  'the page where it happens has words of its own': [
    'oauth_state',
    'oauth_invalid',
    'oauth_denied',
    'password_required',
    'invitation_mismatch',
    'link_required',
    'cursor_expired',
    'word_refused',
    'slow_mode'
  ],
  'only the server knows what of it is wrong, or with what it is in conflict': ['invalid', 'conflict'],
  'they go by their status': ['internal', 'unavailable']
};

it('has a translation for each error code of the server, or a reason to have none', () => {
  const table = readFileSync(join(import.meta.dirname, '../../../../crates/appcore/src/code.rs'), 'utf8');
  const codes = [...table.matchAll(/^ {4}\w+ = "(\w+)", (\d{3}), "/gm)].map(([, code = '', status]) => ({
    code,
    status: Number(status)
  }));
  expect(codes.length).toBeGreaterThan(60);
  const left = new Set(Object.values(LEFT).flat());
  overwriteLocale('vi');
  for (const { code, status } of codes) {
    const told = errorMessage(new ApiError(status, code, 'As the server says it.'));
    const isGeneral =
      told === 'As the server says it.' || code === 'internal' || code === 'unavailable' || status === 499;
    expect(isGeneral, code).toBe(left.has(code));
  }
  expect([...left].filter((code) => !codes.some((known) => known.code === code))).toEqual([]);
});

/** Codes of field errors found in the server’s source: rejected values, exceeded bounds and violated password rules. */
function fieldCodes(): Set<string> {
  const root = join(import.meta.dirname, '../../../../crates');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.rs') && !/\btests?\b/.test(file)
  );
  const refused = /(?:AppError::field|FieldError::new)\(\s*[^;]*?,\s*"([a-z_]+)"\s*,/g;
  const bounds = /=> \("([a-z_]+)"\.into\(\), at_/g;
  const rules = /\brule\([^;]*?, "([a-z_]+)",/g;
  return new Set(
    files.flatMap((file) => {
      const code = readFileSync(join(root, file), 'utf8');
      return [refused, bounds, rules].flatMap((pattern) => [...code.matchAll(pattern)].map(([, found = '']) => found));
    })
  );
}

/** Codes of field errors for which the app has no text of its own and shows the server’s message, by the reason for that. */
const LEFT_FIELDS: Record<string, string[]> = {
  'only the server knows what of it is wrong': ['invalid'],
  'the app checks it before it sends the form': ['unchanged'],
  'fields of passwords have words of their own': ['no_upper', 'no_lower', 'no_digit', 'common', 'is_email']
};

it('has a translation for each error code of a field, or a reason to have none', () => {
  overwriteLocale('vi');
  const codes = fieldCodes();
  for (const code of ['unknown', 'taken', 'too_long', 'too_small', 'nothing_found', 'common'])
    expect(codes).toContain(code);
  const left = Object.values(LEFT_FIELDS).flat();
  const told = (code: string) =>
    fieldError(
      new ApiError(422, 'invalid', 'As the server says it.', undefined, [
        { field: 'x', code, message: 'As the server says it.' }
      ]),
      'x'
    );
  expect([...codes].filter((code) => told(code) === 'As the server says it.').toSorted()).toEqual(left.toSorted());
  // In English the app shows the server’s messages, which are English.
  overwriteLocale('en');
  expect(told('unknown')).toBe('As the server says it.');
});

it('names the limit of a field and the missing entity', () => {
  overwriteLocale('vi');
  const told = (field: string, code: string, message: string) =>
    translated({ code: 'invalid', message, fields: [{ field, code, message }] });
  expect(told('arguments', 'too_long', 'Use 64 KiB or less.')).toMatch(/là 64 KiB\. /);
  expect(told('seats', 'too_large', 'At most 1,000.')).toMatch(/là 1\.000\. /);
  expect(told('name', 'too_short', 'At least 2 characters.')).toMatch(/^Ít nhất là 2\. /);
  expect(told('q', 'too_long', 'The search has too many words.')).toMatch(/^Quá dài/);
  expect(told('model', 'unknown', 'This model isn’t available.')).toMatch(/mô hình khác/);
  expect(told('tools', 'unknown', 'This server isn’t available.')).toMatch(/mục khác/);
});

it('translates why a model is unavailable', () => {
  const refused = (code: string) => ({
    code: 'invalid',
    message: 'The model “x” …',
    fields: [{ field: 'model', code, message: 'The model “x” …' }]
  });
  expect(translated(refused('no_price'))).toBe('The model “x” …');
  overwriteLocale('vi');
  expect(translated(refused('no_price'))).toMatch(/chưa có giá/);
  expect(translated(refused('not_allowed'))).toMatch(/Không dùng được/);
  expect(translated(refused('invalid'))).toBe('The model “x” …');
  const { code, message, fields } = refused('no_price');
  expect(errorMessage(new ApiError(422, code, message, undefined, fields))).toMatch(/chưa có giá/);
});

it('says which quota is used up, when it resets and how to continue', () => {
  const told = (code: string, details?: Details) =>
    errorMessage(new ApiError(402, code, 'As the server says it.', undefined, [], undefined, details));
  const resets_at = new Date(Date.now() + 5 * 3_600_000).toISOString();
  expect(told('out_of_credits')).toMatch(/Buy credits to keep asking/);
  expect(told('quota_reached', { metric: 'answers', resets_at })).toMatch(/today. It renews in 5 hours, or choose/);
  expect(told('quota_reached', { metric: 'members', limit: 3 })).toMatch(/Its owner can choose a larger plan/);
  expect(told('quota_exceeded', { next: 'change_plan', metric: 'storage' })).toMatch(/or choose a larger plan/);
  expect(told('quota_exceeded')).toMatch(/Delete files or notes first/);
  expect(told('budget_exceeded', { scope: 'workspace', resets_at: null })).toBe(
    'This workspace’s AI budget is used up. Ask an admin to raise it.'
  );
  expect(told('budget_exceeded', { scope: 'user', resets_at })).toMatch(/Ask an admin to raise it. It renews in 5 h/);
});
