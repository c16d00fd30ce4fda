/** Registers this device for push. Used by pages and by the service worker. */
import type { Api } from '#lib/api/client.ts';
import type { PushDevice } from './api.ts';

export async function registerDevice(api: Pick<Api, 'post'>, subscription: PushSubscription): Promise<void> {
  const { endpoint, keys } = subscription.toJSON() as PushDevice;
  await api.post('/push/subscriptions', { endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth } });
}

/** Replaces a push subscription that the browser has changed. */
export async function replaceDevice(
  api: Pick<Api, 'get' | 'post'>,
  push: Pick<PushManager, 'subscribe'>,
  made: PushSubscription | null
): Promise<void> {
  let subscription = made;
  if (!subscription) {
    const { key } = await api.get('/push/key');
    subscription = await push.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  }
  await registerDevice(api, subscription);
}
