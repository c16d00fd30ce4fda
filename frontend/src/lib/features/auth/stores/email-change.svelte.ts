import { ApiError, type Api } from '#lib/api/client.ts';
import type { EmailChange } from '../api.ts';

/** Change of the account's email address that waits for confirmation. */
export class EmailChangeStore {
  /** Null if none waits or it isn't loaded yet. */
  pending = $state.raw<EmailChange | null>(null);
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  async load(): Promise<void> {
    try {
      this.pending = await this.#api.get('/users/me/email_change');
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      this.pending = null;
    }
  }

  /** Mails the links to both addresses; replaces an earlier change. */
  async request(email: string): Promise<void> {
    this.pending = await this.#api.put('/users/me/email_change', { email });
  }

  async cancel(): Promise<void> {
    await this.#api.delete('/users/me/email_change');
    this.pending = null;
  }
}
