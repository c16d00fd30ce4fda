/** Stores for which account push is turned on. The server sends notifications only as long as the session that registered the device lasts. */
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import { registerDevice } from './push-device.ts';

const STORAGE_KEY = 'natter.woken';

/** Records the account for which push is on; null if it is off. */
export function enablePush(account: Id | null): void {
  if (account === null) persistentStorage.removeItem(STORAGE_KEY);
  else persistentStorage.setItem(STORAGE_KEY, account);
}

function isWokenFor(account: Id): boolean {
  return persistentStorage.getItem(STORAGE_KEY) === account;
}

/** Registers the device again after a sign-in, because that has created a new session. */
export async function renewRegistration(api: Pick<Api, 'post'>, account: Id): Promise<void> {
  if (!('serviceWorker' in navigator) || !('Notification' in globalThis)) return;
  if (!isWokenFor(account) || Notification.permission !== 'granted') return;
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager?.getSubscription();
  if (subscription) await registerDevice(api, subscription);
}
