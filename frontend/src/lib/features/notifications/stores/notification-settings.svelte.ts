import type { Api } from '#lib/api/client.ts';
import type { NotificationSettings } from '../api.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Notification settings. A change is shown at once and reverted if the server rejects it. */
export class NotificationSettingsStore {
  readonly settings: Resource<NotificationSettings>;
  readonly #api: Pick<Api, 'get' | 'patch'>;
  #turn = 0;

  constructor(api: Pick<Api, 'get' | 'patch'>) {
    this.#api = api;
    this.settings = new Resource(() => api.get('/notifications/settings'));
  }

  async change(change: Partial<NotificationSettings>): Promise<void> {
    const before = this.settings.value;
    if (!before) return;
    this.settings.set({ ...before, ...change });
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const now = await this.#api.patch('/notifications/settings', change);
      // The response is ignored if a later change was sent.
      if (turn === this.#turn) this.settings.set(now);
    } catch (error) {
      if (turn === this.#turn) this.settings.set(before);
      throw error;
    }
  }
}
