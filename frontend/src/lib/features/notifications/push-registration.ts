/** Whom this device is woken for. The server does so as long as the session lasts in which it was told of the device. */
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { registerDevice } from './push-device.ts';

const STORAGE_KEY = 'natter.woken';

/** Null: for nobody. */
export function enablePush(account: Id | null): void {
  try {
    if (account === null) localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, account);
  } catch {
    // Then it is told again when somebody opens the settings.
  }
}

function isWokenFor(account: Id): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) === account;
  } catch {
    return false;
  }
}

/** Somebody is here, perhaps signed in anew: a device that is to be woken for them goes on being so. */
export async function renewRegistration(api: Pick<Api, 'post'>, account: Id): Promise<void> {
  if (!('serviceWorker' in navigator) || !('Notification' in globalThis)) return;
  if (!isWokenFor(account) || Notification.permission !== 'granted') return;
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager?.getSubscription();
  if (subscription) await registerDevice(api, subscription);
}
