import type { Api } from '#lib/api/client.ts';
import type { ConfirmMethod, Freshness } from '#lib/api/types.ts';

type Proof = { password: string } | { code: string } | { recovery_code: string };

/** Step-up authentication: sensitive actions require a recent confirmation of identity. If there is none, they ask for it and continue after it. */
export class ConfirmationStore {
  /** Confirmation methods that the account can use; empty until loaded. */
  methods = $state.raw<ConfirmMethod[]>([]);
  isAsking = $state(false);

  readonly #api: Api;
  #question: Promise<boolean> | undefined;
  #answer: ((isConfirmed: boolean) => void) | undefined;

  constructor(api: Api) {
    this.#api = api;
    api.onStale = () => this.request();
  }

  /** Resolves to true if the last confirmation is recent enough or a new one succeeds. */
  async ensure(): Promise<boolean> {
    const { fresh_until } = await this.#loadMethods();
    return fresh_until !== null || this.request();
  }

  /** Opens the dialog; concurrent callers share it. Resolves to false if the user cancels. */
  request(): Promise<boolean> {
    this.#question ??= this.#open().finally(() => {
      this.#question = undefined;
      this.isAsking = false;
    });
    return this.#question;
  }

  cancel(): void {
    this.#answer?.(false);
  }

  async by(proof: Proof): Promise<void> {
    await this.#api.post('/auth/confirm', proof);
    this.#answer?.(true);
  }

  async byPasskey(): Promise<void> {
    const { challenge_id, publicKey } = await this.#api.post('/auth/passkeys/signin/start', {});
    const { usePasskey } = await import('./webauthn.ts');
    const credential = await usePasskey(publicKey);
    await this.#api.post('/auth/confirm', { challenge_id, credential });
    this.#answer?.(true);
  }

  async #open(): Promise<boolean> {
    await this.#loadMethods();
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.isAsking = true;
    });
  }

  async #loadMethods(): Promise<Freshness> {
    const freshness = await this.#api.get('/auth/confirm');
    this.methods = freshness.methods;
    return freshness;
  }
}
