/** Account that push is enabled for. The server delivers while the registering session lasts. */
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { registerDevice } from './push-device.ts';

const STORAGE_KEY = 'natter.woken';

/** Null disables it. */
export function enablePush(account: Id | null): void {
  try {
    if (account === null) localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, account);
  } catch {
    // Repeated when the settings open.
  }
}

function isWokenFor(account: Id): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) === account;
  } catch {
    return false;
  }
}

/** Renews the registration after a sign-in. */
export async function renewRegistration(api: Pick<Api, 'post'>, account: Id): Promise<void> {
  if (!('serviceWorker' in navigator) || !('Notification' in globalThis)) return;
  if (!isWokenFor(account) || Notification.permission !== 'granted') return;
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager?.getSubscription();
  if (subscription) await registerDevice(api, subscription);
}
