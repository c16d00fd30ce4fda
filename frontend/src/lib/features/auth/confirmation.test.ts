import { expect, it, vi } from 'vitest';
import { Api, ApiError } from '#lib/api/client.ts';
import { ConfirmationStore } from './confirmation.svelte.ts';

/** Fake server that requires a confirmation before it creates an API key. */
function fake({ isFresh = false } = {}) {
  const server = { isFresh, made: 0, asked: 0 };
  const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status });
  const fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const [path, method] = [String(input), init?.method];
    if (path === '/r1/auth/confirm' && method === 'GET') {
      server.asked += 1;
      return answer(200, {
        data: { fresh_until: server.isFresh ? '2026-01-01T00:00:00.000Z' : null, methods: ['password'] }
      });
    }
    if (path === '/r1/auth/confirm') {
      server.isFresh = JSON.parse(String(init?.body)).password === 'right';
      return server.isFresh ? answer(200, { data: {} }) : answer(403, { code: 'password_wrong', message: 'no' });
    }
    if (!server.isFresh) return answer(403, { code: 'fresh_sign_in_required', message: 'no' });
    server.made += 1;
    return answer(201, { data: {} });
  };
  const api = new Api({ fetch: fetch as typeof globalThis.fetch });
  return { server, api, confirmation: new ConfirmationStore(api) };
}

const KEY = { name: 'CI', scopes: [] };

it('asks for confirmation and continues the pending request once', async () => {
  const { server, api, confirmation } = fake();
  const making = api.post('/api_keys', KEY);
  await vi.waitFor(() => expect(confirmation.isAsking).toBe(true));
  expect(confirmation.methods).toEqual(['password']);
  await expect(confirmation.by({ password: 'wrong' })).rejects.toThrow(ApiError);
  expect(confirmation.isAsking).toBe(true);
  await confirmation.by({ password: 'right' });
  await making;
  expect(confirmation.isAsking).toBe(false);
  expect(server.made).toBe(1);
});

it('asks once for all pending requests and rejects them on cancel', async () => {
  const { server, api, confirmation } = fake();
  const both = [api.post('/api_keys', KEY), api.post('/api_keys', KEY)].map((call) =>
    call.catch((error) => error.code)
  );
  await vi.waitFor(() => expect(confirmation.isAsking).toBe(true));
  confirmation.cancel();
  expect(await Promise.all(both)).toEqual(['fresh_sign_in_required', 'fresh_sign_in_required']);
  expect(server).toMatchObject({ made: 0, asked: 1 });
});

it('skips the confirmation after a recent sign-in', async () => {
  const { confirmation } = fake({ isFresh: true });
  expect(await confirmation.ensure()).toBe(true);
  expect(confirmation.isAsking).toBe(false);
});
