import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import { registerDevice } from './push-device.ts';
import { enablePush } from './push-registration.ts';

export type PushState = 'unknown' | 'unsupported' | 'home-screen' | 'blocked' | 'off' | 'on';

/** Push subscription of this device for the current account. */
export class DevicePushStore {
  #state = $state<PushState>('unknown');
  readonly #api: Pick<Api, 'get' | 'post' | 'delete'>;
  readonly #session: { readonly account: { readonly id: Id } | null };
  /** Public key of the server. Loaded in advance, because browsers allow the prompt only directly after a click. */
  #key: string | undefined;

  constructor(api: Pick<Api, 'get' | 'post' | 'delete'>, session: { readonly account: { readonly id: Id } | null }) {
    this.#api = api;
    this.#session = session;
  }

  get state(): PushState {
    return this.#state;
  }

  async refresh(): Promise<void> {
    if (!('serviceWorker' in navigator) || !('PushManager' in window) || !('Notification' in window)) {
      // On iOS, only apps on the home screen support push.
      const isApple = /iPhone|iPad/.test(navigator.userAgent);
      this.#state = isApple ? 'home-screen' : 'unsupported';
      return;
    }
    if (Notification.permission === 'denied') {
      this.#state = 'blocked';
      return;
    }
    try {
      const [registration, { key }] = await Promise.all([
        navigator.serviceWorker.getRegistration(),
        this.#api.get('/push/key')
      ]);
      this.#key = key;
      const subscription = await registration?.pushManager.getSubscription();
      this.#state = subscription && Notification.permission === 'granted' ? 'on' : 'off';
      // Registers the subscription again, because its URL or the account may have changed.
      if (subscription && this.#state === 'on') await this.#register(subscription);
    } catch {
      this.#state = 'off';
    }
  }

  /** Turns push on. Must be called directly by the handler of a click, because the browser asks for permission. */
  async turnOn(): Promise<void> {
    const allowed = await Notification.requestPermission();
    if (allowed !== 'granted') {
      this.#state = allowed === 'denied' ? 'blocked' : 'off';
      return;
    }
    this.#key ??= (await this.#api.get('/push/key')).key;
    const registration = await navigator.serviceWorker.ready;
    const known = await registration.pushManager.getSubscription();
    const subscription = known && isOf(known, this.#key) ? known : await this.#subscribe(registration, known);
    await this.#register(subscription);
    this.#state = 'on';
  }

  async turnOff(): Promise<void> {
    const registration = await navigator.serviceWorker.getRegistration();
    const subscription = await registration?.pushManager.getSubscription();
    if (subscription) {
      await this.#api.delete('/push/subscriptions', { endpoint: subscription.endpoint });
      await subscription.unsubscribe();
    }
    enablePush(null);
    this.#state = 'off';
  }

  async #subscribe(registration: ServiceWorkerRegistration, known: PushSubscription | null): Promise<PushSubscription> {
    await known?.unsubscribe();
    return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: this.#key ?? null });
  }

  async #register(subscription: PushSubscription): Promise<void> {
    await registerDevice(this.#api, subscription);
    enablePush(this.#session.account?.id ?? null);
  }
}

/** Whether a subscription was made with this key of the server. */
function isOf(subscription: PushSubscription, key: string): boolean {
  const { applicationServerKey } = subscription.options;
  if (!applicationServerKey) return false;
  const bytes = String.fromCharCode(...new Uint8Array(applicationServerKey));
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '') === key;
}
