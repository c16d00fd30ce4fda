import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, it } from 'vitest';
import { callsOf } from '../../../scripts/calls.mjs';
import { description } from '../../../scripts/openapi.mjs';
import type { Api } from './client.ts';
import type { Conversation, Cursor, Member, Message, Page } from './types.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('are those of the description', () => {
  const isSame = callsOf(description()) === read('./generated/calls.gen.ts');
  expect(isSame, 'run npm --prefix frontend run api').toBe(true);
});

it('have the app’s own types only where the description has one of that name', () => {
  const [own, calls] = [read('./openapi-overrides.ts'), read('./generated/calls.gen.ts')];
  const said = [...own.matchAll(/^export type (?:\{([^}]*)\}|(\w+) =)/gm)].flatMap(
    ([, list, one]) => list?.split(',') ?? one
  );
  const names = said.map((text) => text?.trim().split(' ').at(-1) ?? '');
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !new RegExp(`T\\.${name}\\b`).test(calls))).toEqual([]);
});

// Type-checked only.
export function typed(api: Api, id: string, scope: 'user' | 'workspace') {
  expectTypeOf(api.get('/conversations', { page: 1 })).resolves.toEqualTypeOf<Page<Conversation>>();
  expectTypeOf(api.get(`/conversations/${id}`)).resolves.toEqualTypeOf<Conversation>();
  expectTypeOf(api.get(`/conversations/${id}/members`)).resolves.toEqualTypeOf<Page<Member>>();
  expectTypeOf(api.get(`/conversations/${id}/messages`)).resolves.toEqualTypeOf<Cursor<Message>>();
  expectTypeOf(api.get(`/messages/${id}/citations/${1 as number}`)).resolves.toHaveProperty('text');
  expectTypeOf(api.delete(`/admin/budgets/${scope}/${id}`)).resolves.toEqualTypeOf<void>();
  const editing = { content: '', mentions: [] } as const;
  void api.patch(`/messages/${id}`, editing);
  void api.delete(`/notes/${id}?version=1`);
  void api.delete(`/credit_settings/top_up?workspace_id=${id}`);
  void api.post(`/conversations/${id}/join`);
  void api.post(`/conversations/${id}/join`, {});

  // @ts-expect-error there is no such path
  void api.get(`/conversation/${id}`);
  // @ts-expect-error nor below one that there is
  void api.get(`/conversations/${id}/nothing`);
  // @ts-expect-error nor by this method
  void api.put(`/conversations/${id}`, {});
  // @ts-expect-error nor is it known what this is
  void api.get(id);
  // @ts-expect-error it isn't asked for by that
  void api.get('/conversations', { pages: 1 });
  // @ts-expect-error nor in the path
  void api.delete(`/notes/${id}?edition=1`);
  // @ts-expect-error a message says something
  void api.post(`/conversations/${id}/messages`, { client_id: id });
  // @ts-expect-error nothing is said here
  void api.post(`/conversations/${id}/join`, { at: 1 });
  // @ts-expect-error there are no such budgets
  void api.delete(`/admin/budgets/${id}/${id}`);
}
