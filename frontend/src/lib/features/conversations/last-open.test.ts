import { beforeEach, expect, it } from 'vitest';
import { LastOpenStore } from './last-open.ts';

let stored: Map<string, string>;
const store = (userId = 'anna') =>
  new LastOpenStore(
    { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => void stored.set(key, value) },
    userId
  );
const any = () => true;
const record = (id: string, workspace_id = 'w1', userId?: string) => store(userId).record({ id, workspace_id });

beforeEach(() => (stored = new Map()));

it('finds the conversation that was open last, by workspace and account', () => {
  record('a');
  record('b');
  record('c', 'w2');
  record('d', 'w1', 'ben');
  expect(store().find('w1', any)).toBe('b');
  expect(store().find('w2', any)).toBe('c');
  expect(store().find('w3', any)).toBeUndefined();
  expect(store('ben').find('w1', any)).toBe('d');
});

it('finds the one before if the last one is not readable any more', () => {
  for (const id of ['a', 'b', 'a', 'c']) record(id);
  expect(store().find('w1', (id) => id !== 'c')).toBe('a');
  expect(store().find('w1', (id) => id === 'b')).toBe('b');
  expect(store().find('w1', () => false)).toBeUndefined();
});

it('remembers a few conversations of each workspace', () => {
  for (let index = 0; index < 20; index += 1) record(`c${index}`);
  expect(store().find('w1', (id) => id === 'c15')).toBe('c15');
  expect(store().find('w1', (id) => id === 'c14')).toBeUndefined();
});

it.each(['not json', '[]', 'null', '7', '{"w1":"a"}'])('ignores damaged storage: %s', (damaged) => {
  stored.set('natter.last-open.anna', damaged);
  expect(store().find('w1', any)).toBeUndefined();
  record('a');
  expect(store().find('w1', any)).toBe('a');
});
