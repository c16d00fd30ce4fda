import type { Api } from '#lib/api/client.ts';
import type { TotpSetup } from '../api.ts';

/** Authenticator app as second factor. */
export class SecondFactorStore {
  /** Set-up in progress, inactive until the first code. */
  setup = $state.raw<TotpSetup | null>(null);
  /** Recovery codes, shown once after activation. */
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

  /** Removes the secret from memory. */
  clearSetup(): void {
    this.setup = null;
    this.recoveryCodes = [];
  }
}
