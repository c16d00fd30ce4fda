import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '#lib/api/client.ts';
import { NamesStore } from './names.svelte.ts';

function store(role: 'user' | 'admin') {
  const get = vi.fn();
  const names = new NamesStore({ api: { get }, session: { account: { role } } } as never);
  return { get, names };
}

describe('NamesStore', () => {
  it('asks for every account as an administrator', async () => {
    const { get, names } = store('admin');
    get.mockResolvedValue({ display_name: 'Anna' });
    names.load(['u1']);
    await expect.poll(() => names.of('u1')).toBe('Anna');
    expect(get).toHaveBeenCalledExactlyOnceWith('/admin/users/u1');
  });

  it('names service accounts for an administrator, and calls the others deleted', async () => {
    const { get, names } = store('admin');
    const missing = () => Promise.reject(new ApiError(404, 'not_found', 'no such account'));
    get.mockImplementation((path: string) =>
      path === '/admin/service_accounts/s1' ? Promise.resolve({ name: 'Nightly report' }) : missing()
    );
    names.load(['s1', 'u1']);
    await expect.poll(() => names.of('s1')).toBe('Nightly report');
    await expect.poll(() => names.of('u1')).toBeNull();
  });

  it('calls only missing accounts deleted, and requests the others again', async () => {
    const { get, names } = store('user');
    get.mockRejectedValueOnce(new ApiError(404, 'not_found', 'no such user'));
    get.mockRejectedValueOnce(new ApiError(503, 'unavailable', 'try again'));
    names.load(['u1', 'u2']);
    await expect.poll(() => names.of('u1')).toBeNull();
    expect(names.of('u2')).toBeUndefined();
    get.mockResolvedValue({ display_name: 'Ben' });
    await expect.poll(() => (names.load(['u1', 'u2']), names.of('u2'))).toBe('Ben');
    expect(get.mock.lastCall).toEqual(['/users/u2']);
  });
});
