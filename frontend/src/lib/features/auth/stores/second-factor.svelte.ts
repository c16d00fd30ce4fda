import type { Api } from '#lib/api/client.ts';
import type { TotpSetup } from '../api.ts';

/** Authenticator app that the account uses as second factor. */
export class SecondFactorStore {
  /** Authenticator app that is being set up; it is active only after its first code was confirmed. Null if there is none. */
  setup = $state.raw<TotpSetup | null>(null);
  /** Recovery codes; they are shown once, after the activation. */
  recoveryCodes = $state.raw<string[]>([]);
  readonly #api: Api;
  readonly #changed: () => Promise<void>;

  constructor(api: Api, changed: () => Promise<void>) {
    this.#api = api;
    this.#changed = changed;
  }

  async startSetup(password: string | undefined): Promise<void> {
    this.setup = await this.#api.post('/auth/totp', { password });
  }

  async confirm(code: string): Promise<void> {
    const { recovery_codes } = await this.#api.post('/auth/totp/confirm', { code });
    this.recoveryCodes = recovery_codes;
    this.setup = null;
    await this.#changed();
  }

  async switchOff(code: string): Promise<void> {
    await this.#api.delete('/auth/totp', { code });
    await this.#changed();
  }

  /** Removes the secret of the app that was being set up from memory. */
  clearSetup(): void {
    this.setup = null;
    this.recoveryCodes = [];
  }
}
