import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { replaceDevice } from './push-device.ts';
import { renewRegistration, enablePush } from './push-registration.ts';

const kept = new Map<string, string>();
let permission: NotificationPermission;
let subscription: PushSubscription | null;
let posted: unknown[];

const at = (endpoint: string) =>
  ({ toJSON: () => ({ endpoint, keys: { p256dh: 'key', auth: 'secret' } }) }) as unknown as PushSubscription;
const told = (endpoint: string) => ['/push/subscriptions', { endpoint, keys: { p256dh: 'key', auth: 'secret' } }];
const api = {
  get: (path: string) => Promise.resolve({ key: `key of ${path}` }),
  post: (...call: unknown[]) => Promise.resolve(posted.push(call))
} as never;

beforeEach(() => {
  kept.clear();
  posted = [];
  permission = 'granted';
  subscription = at('https://push.test/1');
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key)
  });
  vi.stubGlobal('Notification', {
    get permission() {
      return permission;
    }
  });
  const registration = { pushManager: { getSubscription: () => Promise.resolve(subscription) } };
  vi.stubGlobal('navigator', { serviceWorker: { getRegistration: () => Promise.resolve(registration) } });
});

afterEach(() => vi.unstubAllGlobals());

describe('push registration', () => {
  it('is reported in each session of its account', async () => {
    enablePush('anna');
    await renewRegistration(api, 'anna');
    expect(posted).toEqual([told('https://push.test/1')]);
  });

  it('is not reported for another account or when disabled', async () => {
    await renewRegistration(api, 'anna');
    enablePush('anna');
    await renewRegistration(api, 'ben');
    enablePush(null);
    await renewRegistration(api, 'anna');
    expect(posted).toEqual([]);
  });

  it('is not reported without permission or subscription', async () => {
    enablePush('anna');
    permission = 'denied';
    await renewRegistration(api, 'anna');
    permission = 'granted';
    subscription = null;
    await renewRegistration(api, 'anna');
    expect(posted).toEqual([]);
  });

  it('reports the new endpoint when the browser changes it', async () => {
    const asked: unknown[] = [];
    const push = {
      subscribe: (options: unknown) => {
        asked.push(options);
        return Promise.resolve(at('https://push.test/3'));
      }
    };
    await replaceDevice(api, push, at('https://push.test/2'));
    await replaceDevice(api, push, null);
    expect(posted).toEqual([told('https://push.test/2'), told('https://push.test/3')]);
    expect(asked).toEqual([{ userVisibleOnly: true, applicationServerKey: 'key of /push/key' }]);
  });
});
