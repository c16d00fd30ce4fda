import { expect, it } from 'vitest';
import { argumentsOf, fieldsOf, givenOf, problemOf, readArguments, textOf, type ToolField } from './tool-form.ts';

const SCHEMA = {
  type: 'object',
  properties: {
    title: { type: 'string', title: 'Title', minLength: 3, maxLength: 20 },
    body: { type: 'string', description: 'What it says.' },
    number: { type: 'integer', minimum: 1, maximum: 999 },
    urgent: { type: 'boolean' },
    state: { enum: ['open', 'closed', 3] },
    labels: { type: 'array', items: { type: 'string' } },
    place: { type: 'object', properties: { x: { type: 'number' } } },
    until: { type: ['string', 'null'] },
    by: { anyOf: [{ type: 'string' }, { type: 'null' }] }
  },
  required: ['title', 'number']
};

const GIVEN = { title: 'The pool', number: 482, state: 'open', labels: ['db', 'eu west'], place: { x: 1.5 }, odd: [1] };

const known = (fields: ToolField[] | null) => fields ?? expect.fail('no fields');
const typedOf = (fields: ToolField[], given: Record<string, unknown>) =>
  Object.fromEntries(fields.map((field) => [field.name, textOf(field, givenOf(given, field.name))]));

it('creates a field for each argument by its schema', () => {
  const fields = known(fieldsOf(SCHEMA, { ...GIVEN, body: 'line\nline' }));
  expect(fields.map(({ name, kind }) => `${name}:${kind}`)).toEqual([
    'title:line',
    'number:number',
    'body:lines',
    'urgent:choice',
    'state:choice',
    'labels:list',
    'place:json',
    'until:line',
    'by:line',
    'odd:json'
  ]);
  expect(fields[0]).toMatchObject({ label: 'Title', isRequired: true });
  expect(fields[2]).toMatchObject({ label: 'body', about: 'What it says.', isRequired: false });
});

it('returns the arguments unchanged without edits', () => {
  const fields = known(fieldsOf(SCHEMA, GIVEN));
  expect(argumentsOf(fields, typedOf(fields, GIVEN), GIVEN)).toEqual(GIVEN);
});

it('parses input by type and omits empty fields', () => {
  const fields = known(fieldsOf(SCHEMA, GIVEN));
  const typed = {
    ...typedOf(fields, GIVEN),
    number: ' 7 ',
    urgent: '1',
    state: '2',
    labels: ' one \n\n two',
    place: '',
    until: '',
    odd: '{"a": null}'
  };
  expect(argumentsOf(fields, typed, GIVEN)).toEqual({
    title: 'The pool',
    number: 7,
    urgent: false,
    state: 3,
    labels: ['one', 'two'],
    odd: { a: null }
  });
});

it('keeps null for an empty field that was null', () => {
  const given = { title: 'abc', number: 1, until: null };
  const fields = known(fieldsOf(SCHEMA, given));
  expect(argumentsOf(fields, typedOf(fields, given), given)).toEqual(given);
});

it('explains invalid input', () => {
  const fields = known(fieldsOf(SCHEMA, GIVEN));
  const problem = (name: string, text: string) =>
    problemOf(
      fields.find((one) => one.name === name)!,
      text
    );
  expect(problem('title', '')).toBeTruthy();
  expect(problem('title', 'ab')).toContain('3');
  expect(problem('title', 'a'.repeat(21))).toContain('20');
  expect(problem('title', 'fine')).toBeUndefined();
  expect(problem('number', '1.5')).toBeTruthy();
  expect(problem('number', 'much')).toBeTruthy();
  expect(problem('number', '0')).toContain('1');
  expect(problem('number', '1000')).toContain('999');
  expect(problem('number', '12')).toBeUndefined();
  expect(problem('place', '{')).toBeTruthy();
  expect(problem('place', '')).toBeUndefined();
  expect(problem('body', '')).toBeUndefined();
});

it('uses the singular for one character', () => {
  const [field] = known(fieldsOf({ properties: { grade: { type: 'string', maxLength: 1 } } }, {}));
  expect(['A', 'AB'].map((text) => problemOf(field!, text))).toEqual([undefined, 'Enter 1 character.']);
});

it('has no form without a schema', () => {
  expect(fieldsOf(null, GIVEN)).toBeNull();
  expect(fieldsOf({ type: 'object' }, GIVEN)).toBeNull();
  expect(fieldsOf({ type: 'object', properties: {} }, {})).toBeNull();
  expect(readArguments('[1]')).toBeNull();
  expect(readArguments('{"a"')).toBeNull();
  expect(readArguments('{"a":1}')).toEqual({ a: 1 });
});

it('accepts property names like constructor', () => {
  const schema = { type: 'object', properties: { constructor: { type: 'string' } } };
  const fields = known(fieldsOf(schema, {}));
  expect(argumentsOf(fields, { constructor: 'x' }, {})).toEqual({ constructor: 'x' });
});
