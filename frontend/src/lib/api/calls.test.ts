import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, it } from 'vitest';
import { callsOf } from '../../../scripts/calls.mjs';
import { description } from '../../../scripts/openapi.mjs';
import type { Api } from './client.ts';
import type { Conversation, Cursor, Member, Message, Page } from './types.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('matches the OpenAPI description', () => {
  const isSame = callsOf(description()) === read('./generated/calls.gen.ts');
  expect(isSame, 'run npm --prefix frontend run api').toBe(true);
});

it('declares own types only for names in the OpenAPI description', () => {
  const [own, calls] = [read('./openapi-overrides.ts'), read('./generated/calls.gen.ts')];
  const said = [...own.matchAll(/^export type (?:\{([^}]*)\}|(\w+) =)/gm)].flatMap(
    ([, list, one]) => list?.split(',') ?? one
  );
  const names = said.map((text) => text?.trim().split(' ').at(-1) ?? '');
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !new RegExp(`T\\.${name}\\b`).test(calls))).toEqual([]);
});

// Never called: the function only has to pass the type checker.
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

  // @ts-expect-error the path doesn't exist
  void api.get(`/conversation/${id}`);
  // @ts-expect-error the path doesn't exist below an existing one
  void api.get(`/conversations/${id}/nothing`);
  // @ts-expect-error the path doesn't support the method
  void api.put(`/conversations/${id}`, {});
  // @ts-expect-error an arbitrary string is not a path
  void api.get(id);
  // @ts-expect-error the query parameter doesn't exist
  void api.get('/conversations', { pages: 1 });
  // @ts-expect-error the query parameter in the path doesn't exist
  void api.delete(`/notes/${id}?edition=1`);
  // @ts-expect-error the body lacks the required content
  void api.post(`/conversations/${id}/messages`, { client_id: id });
  // @ts-expect-error the body is empty for this call
  void api.post(`/conversations/${id}/join`, { at: 1 });
  // @ts-expect-error a budget's scope is `user` or `workspace`
  void api.delete(`/admin/budgets/${id}/${id}`);
}
