import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Api, ApiError } from '#lib/api/client.ts';
import type { Account } from '#lib/api/types.ts';
import { SessionStore } from './session.svelte.ts';

const elena: Account = {
  id: 'u1',
  display_name: 'Elena Voss',
  email: 'elena@harbour.example',
  role: 'user',
  timezone: null,
  title: null,
  pronouns: null,
  created_at: ''
};

/** API whose responses the test sets. */
class FakeApi extends Api {
  answers = new Map<string, unknown>();
  asked: string[] = [];

  #answer<T>(what: string): Promise<T> {
    this.asked.push(what);
    const answer = this.answers.get(what);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as T);
  }

  override get<T>(path: string, ..._: unknown[]): Promise<T> {
    return this.#answer(`GET ${path}`);
  }

  override post<T>(path: string, ..._: unknown[]): Promise<T> {
    return this.#answer(`POST ${path}`);
  }
}

function memory() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key)
  };
}

class Channel extends EventTarget {
  said: unknown[] = [];
  postMessage(data: unknown) {
    this.said.push(data);
  }
  hear(data: unknown) {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
}

let api: FakeApi;
let channel: Channel;
let storage: ReturnType<typeof memory>;
let session: SessionStore;
let startedOver: string[];
let forgotten: number;
let left: string[];

beforeEach(() => {
  api = new FakeApi();
  channel = new Channel();
  storage = memory();
  startedOver = [];
  forgotten = 0;
  left = [];
  session = new SessionStore(api, {
    storage,
    channel: channel as unknown as BroadcastChannel,
    reload: (where) => startedOver.push(where),
    clearWorkerCache: () => forgotten++,
    clearLocalData: (userId) => left.push(userId)
  });
});

describe('SessionStore', () => {
  it('is signed in, signed out or unreachable after loading', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    expect([session.state, session.user.display_name, session.isLikely]).toEqual(['signed-in', 'Elena Voss', true]);

    const stranger = new SessionStore(api);
    api.answers.set('GET /users/me', new ApiError(401, 'unauthenticated', ''));
    await stranger.load();
    expect(stranger.state).toBe('signed-out');

    const unlucky = new SessionStore(api);
    api.answers.set('GET /users/me', new ApiError(0, 'network', ''));
    await unlucky.load();
    expect(unlucky.state).toBe('unreachable');
  });

  it('shows the cached account until the server answers', async () => {
    storage.setItem('natter.session', JSON.stringify(elena));
    const returning = new SessionStore(api, { storage });
    expect([returning.state, returning.isPresent, returning.user.id]).toEqual(['unknown', true, 'u1']);
    api.answers.set('GET /users/me', new ApiError(401, 'unauthenticated', ''));
    await returning.load();
    expect([returning.state, returning.isPresent, returning.ended]).toEqual(['signed-out', false, true]);
    expect(new SessionStore(api, { storage }).isPresent).toBe(false);
    storage.setItem('natter.session', '{"broken');
    expect(new SessionStore(api, { storage }).isPresent).toBe(false);
  });

  it('stays signed in while the server is unavailable', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    api.answers.set('GET /users/me', new ApiError(503, 'unavailable', ''));
    await session.load();
    expect(session.state).toBe('signed-in');
  });

  it('reports an ended session only after a sign-in', async () => {
    api.onSignedOut?.();
    expect(session.ended).toBe(false);
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    api.onSignedOut?.();
    expect([session.state, session.ended, session.isPresent]).toEqual(['ended', true, true]);
  });

  it('keeps the page of an ended session and resumes after the same account signs in', async () => {
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    api.onSignedOut?.();
    api.onSignedOut?.();
    expect([session.state, session.user.id, storage.getItem('natter.session')]).toEqual(['ended', 'u1', null]);
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's2' });
    await session.signIn({ email: '', password: '' });
    expect([session.state, session.sessionId, session.ended, startedOver]).toEqual(['signed-in', 's2', false, []]);
  });

  it('reloads the page when another account signs in after the session ended', async () => {
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    api.onSignedOut?.();
    api.answers.set('POST /auth/signin', { user: { ...elena, id: 'u2' }, session_id: 's2' });
    await session.signIn({ email: '', password: '' });
    expect([startedOver, session.state, session.user.id]).toEqual([['home'], 'ended', 'u1']);
    expect(storage.getItem('natter.session')).toContain('u2');
  });

  it('reloads the page when another account signs in after a sign-out', async () => {
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    await session.signOut();
    // The same account signs in again, so the page continues.
    await session.signIn({ email: '', password: '' });
    await session.signOut();
    expect([session.state, startedOver]).toEqual(['signed-out', []]);
    api.answers.set('POST /auth/signup', { user: { ...elena, id: 'u2' }, session_id: 's2' });
    await session.signUp({ display_name: '', email: '', password: '' });
    expect([session.state, session.account, startedOver]).toEqual(['signed-out', null, ['here']]);
    // The new page knows the account from local storage.
    expect(new SessionStore(api, { storage }).user.id).toBe('u2');
  });

  it('reloads the page when the cached account is not the signed-in one', async () => {
    storage.setItem('natter.session', JSON.stringify(elena));
    const returning = new SessionStore(api, { storage, reload: (where) => startedOver.push(where) });
    api.answers.set('GET /users/me', { ...elena, id: 'u2' });
    await returning.load();
    expect(startedOver).toEqual(['here']);
    // Without an earlier account the page needs no reload.
    const fresh = new SessionStore(api, { reload: (where) => startedOver.push(where) });
    await fresh.load();
    expect([fresh.state, startedOver]).toEqual(['signed-in', ['here']]);
  });

  it('resumes an ended session after a sign-in in another tab', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    api.onSignedOut?.();
    channel.hear('signed-in');
    await expect.poll(() => session.state).toBe('signed-in');
    api.onSignedOut?.();
    // The same account may sign in again, so the cache stays.
    expect(forgotten).toBe(0);
    session.signOutLocally();
    expect([session.state, session.isPresent, session.isSigningOut]).toEqual(['signed-out', false, true]);
    expect(forgotten).toBe(1);
  });

  it('starts only after the second factor', async () => {
    const challenge = { challenge: 'c1', methods: ['totp'], expires_at: null };
    api.answers.set('POST /auth/signin', challenge);
    await expect(session.signIn({ email: '', password: '' })).resolves.toEqual(challenge);
    expect(session.state).toBe('unknown');
    api.answers.set('POST /auth/signin/challenge', { user: elena, session_id: 's1' });
    await session.answer('c1', { code: '123456' });
    expect([session.state, channel.said]).toEqual(['signed-in', ['signed-in']]);
  });

  it.each(['address_banned', 'http_403'])('survives a network ban by the server or a proxy: %s', async (code) => {
    storage.setItem('natter.session', JSON.stringify(elena));
    const returning = new SessionStore(api, { storage });
    api.answers.set('GET /users/me', new ApiError(403, code, '', undefined, [], 300));
    await returning.load();
    expect([returning.state, returning.isLikely]).toEqual(['unreachable', true]);
  });

  it('does not count as ended during a sign-out', async () => {
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    const leaving = session.signOut();
    api.onSignedOut?.();
    expect(session.state).toBe('signed-out');
    await leaving;
    expect([session.state, session.ended]).toEqual(['signed-out', false]);
  });

  it('stays signed in until the server has confirmed the sign-out', async () => {
    api.answers.set('POST /auth/signin', { user: elena, session_id: 's1' });
    await session.signIn({ email: '', password: '' });
    api.answers.set('POST /auth/logout', new ApiError(0, 'network', ''));
    await expect(session.signOut()).rejects.toBeInstanceOf(ApiError);
    expect(session.state).toBe('signed-in');

    api.answers.set('POST /auth/logout', new ApiError(401, 'unauthenticated', ''));
    await session.signOut();
    expect([session.state, session.ended, session.isSigningOut]).toEqual(['signed-out', false, true]);
  });

  it('uses the current name of the own account and the loaded names of others', async () => {
    api.answers.set('GET /users/me', { ...elena, display_name: 'Elena Voss-Brandt' });
    await session.load();
    const names = [elena, { id: 'u2', display_name: 'Amir' }].map((user) => session.nameOf(user));
    expect(names).toEqual(['Elena Voss-Brandt', 'Amir']);
  });

  it('refreshes the account without signing anyone in', async () => {
    expect(session.requestedAt).toBeNull();
    await session.refresh();
    expect(api.asked).toEqual([]);
    api.answers.set('GET /users/me', elena);
    await session.load();
    api.answers.set('GET /users/me', { ...elena, chosen_presence: 'dnd' });
    await session.refresh();
    expect(session.user.chosen_presence).toBe('dnd');
    expect(session.requestedAt).not.toBeNull();
    const refreshing = session.refresh();
    await session.signOut();
    await refreshing;
    expect([session.state, storage.getItem('natter.session')]).toEqual(['signed-out', null]);
  });

  it('clears the cache after an OAuth return', async () => {
    api.answers.set('GET /users/me', elena);
    await session.resumeFromOAuth();
    expect([session.state, forgotten, channel.said]).toEqual(['signed-in', 1, ['signed-in']]);
  });

  it('reports the account that signed out or was deleted', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    api.onSignedOut?.();
    expect(left).toEqual([]);
    await session.load();
    await session.signOut();
    expect(left).toEqual(['u1']);
    await session.load();
    vi.spyOn(api, 'delete').mockResolvedValue(undefined as never);
    await session.deleteAccount('secret');
    expect(left).toEqual(['u1', 'u1']);
  });

  it('reports the account when its session had already ended', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    vi.spyOn(api, 'post').mockImplementation(() => {
      // The client does the same after a failed refresh.
      api.onSignedOut?.();
      return Promise.reject(new ApiError(401, 'unauthenticated', ''));
    });
    await session.signOut();
    expect([session.state, left]).toEqual(['signed-out', ['u1']]);
    expect(channel.said).toEqual([{ left: 'u1', at: expect.any(Number) as number }, 'signed-out']);
  });

  it('follows sign-ins and sign-outs of other tabs and announces its own', async () => {
    api.answers.set('GET /users/me', elena);
    channel.hear('signed-in');
    await expect.poll(() => session.state).toBe('signed-in');
    channel.hear({ left: 'u1', at: Date.now() });
    expect([session.state, left]).toEqual(['signed-out', ['u1']]);
    api.answers.set('POST /auth/signup', { user: elena, session_id: 's1' });
    await session.signUp({ display_name: '', email: '', password: '' });
    await session.signOut();
    expect(channel.said).toEqual(['signed-in', { left: 'u1', at: expect.any(Number) as number }, 'signed-out']);
  });

  it('ignores an old sign-out of another tab after a new sign-in', async () => {
    api.answers.set('GET /users/me', elena);
    await session.load();
    const at = Date.now() - 3_600_000;
    channel.hear({ left: 'u1', at });
    expect([session.state, left]).toEqual(['signed-out', []]);
    // The account has signed out, or another one has signed in.
    channel.hear({ left: 'u1', at });
    storage.setItem('natter.session', JSON.stringify({ ...elena, id: 'u2' }));
    channel.hear({ left: 'u1', at });
    expect(left).toEqual(['u1', 'u1']);
  });
});
