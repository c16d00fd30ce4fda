import { base } from '#lib/util/address.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id, InvitationPreview, PasswordPolicy, Policy, Provider, TextLimits } from '#lib/api/types.ts';

const DEFAULT_POLICY: Policy = {
  signup: 'open',
  setup_token: false,
  mail: 'smtp',
  password: { min_length: 8, upper: true, lower: true, digit: true, common: true }
};

const DEFAULT_TEXT_LIMITS: TextLimits = { max_chars: 5_000, max_prompt_chars: 100_000 };

/** The ways in that this server offers, and what comes by mail: verifying, a new password, an invitation. */
export class AuthPolicyStore {
  #providers = $state.raw<Provider[]>([]);
  #policy = $state.raw<Policy>(DEFAULT_POLICY);

  /** The address typed at one of its forms, for the next: from signing up to signing in, say. */
  email = '';

  readonly #api: Api;
  #loading: Promise<void> | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  get providers(): Provider[] {
    return this.#providers;
  }

  /** Whether the server has said what holds here. */
  get isLoaded(): boolean {
    return this.#policy !== DEFAULT_POLICY;
  }

  get signup(): Policy['signup'] {
    return this.#policy.signup;
  }

  /** The next account is the first one, for whoever runs the server. */
  get needsSetupToken(): boolean {
    return this.#policy.setup_token;
  }

  /** Whether mail from this server reaches people. */
  get sendsMail(): boolean {
    return this.#policy.mail === 'smtp';
  }

  /** What a new password has to be. */
  get password(): PasswordPolicy {
    return this.#policy.password;
  }

  /** How long messages may be. */
  get messages(): TextLimits {
    return this.#policy.messages ?? DEFAULT_TEXT_LIMITS;
  }

  /** How large a file may be; undefined while that isn't known. */
  get uploads(): Policy['uploads'] {
    return this.#policy.uploads;
  }

  /** Whether what somebody says can be written down. */
  get canTranscribe(): boolean {
    return this.#policy.transcriptions === true;
  }

  /** Once per page. Without an answer there is still the form, and the server has the last word anyway. */
  load(): Promise<void> {
    this.#loading ??= Promise.allSettled([
      this.#api.get('/auth/oauth/providers').then((providers) => (this.#providers = providers)),
      this.#api.get('/auth/policy').then((policy) => (this.#policy = policy))
    ]).then((results) => {
      if (results.some(({ status }) => status === 'rejected')) this.#loading = undefined;
    });
    return this.#loading;
  }

  /** What holds has changed: the first account is made. */
  reload(): Promise<void> {
    this.#loading = undefined;
    return this.load();
  }

  /** With the account's password where nobody is signed in to it here. */
  async verifyEmail(token: string, password?: string): Promise<void> {
    await this.#api.post('/auth/verify-email', { token, ...(password ? { password } : {}) });
  }

  async resendVerification(email: string): Promise<void> {
    await this.#api.post('/auth/resend-verification', { email });
  }

  async forgotPassword(email: string): Promise<void> {
    await this.#api.post('/auth/forgot-password', { email });
  }

  async resetPassword(token: string, password: string): Promise<void> {
    await this.#api.post('/auth/reset-password', { token, password });
  }

  previewInvitation(token: string): Promise<InvitationPreview> {
    return this.#api.post('/invitations/preview', { token });
  }

  acceptInvitation(token: string): Promise<{ workspace: { id: Id; name: string } }> {
    return this.#api.post('/invitations/accept', { token });
  }
}

/** Where signing in at a provider begins. The server leads on to it, and comes back to `next`. */
export function oauthStartUrl(provider: string, next: string, { link = false } = {}): string {
  const query = new URLSearchParams({ next, ...(link ? { link: 'true' } : {}) });
  return `${base}/r1/auth/oauth/${encodeURIComponent(provider)}/start?${query}`;
}
