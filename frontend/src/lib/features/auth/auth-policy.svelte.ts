import { base } from '#lib/util/address.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id, InvitationPreview, PasswordPolicy, Policy, Provider, TextLimits } from '#lib/api/types.ts';
import type { EmailChange } from './api.ts';

const DEFAULT_POLICY: Policy = {
  signup: 'open',
  setup_token: false,
  mail: 'smtp',
  password: { min_length: 8, upper: true, lower: true, digit: true, common: true }
};

const DEFAULT_TEXT_LIMITS: TextLimits = { max_chars: 5_000, max_prompt_chars: 100_000 };

/** Sign-in methods and password rules of the server, and the requests for email verification, password reset and invitations. */
export class AuthPolicyStore {
  #providers = $state.raw<Provider[]>([]);
  #policy = $state.raw<Policy>(DEFAULT_POLICY);

  /** Email address that was typed in one form, to fill in the next one. */
  email = '';

  readonly #api: Api;
  #loading: Promise<void> | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  get providers(): Provider[] {
    return this.#providers;
  }

  get isLoaded(): boolean {
    return this.#policy !== DEFAULT_POLICY;
  }

  get signup(): Policy['signup'] {
    return this.#policy.signup;
  }

  /** Whether the first account, which becomes the administrator's, needs the set-up token. */
  get needsSetupToken(): boolean {
    return this.#policy.setup_token;
  }

  /** Whether the server can send email. */
  get sendsMail(): boolean {
    return this.#policy.mail === 'smtp';
  }

  get password(): PasswordPolicy {
    return this.#policy.password;
  }

  get messages(): TextLimits {
    return this.#policy.messages ?? DEFAULT_TEXT_LIMITS;
  }

  /** Upload limits; undefined until loaded. */
  get uploads(): Policy['uploads'] {
    return this.#policy.uploads;
  }

  /** Whether the server can transcribe speech. */
  get canTranscribe(): boolean {
    return this.#policy.transcriptions === true;
  }

  /** Loads the policy once. If that fails, defaults apply, and the server rejects input that violates its policy. */
  load(): Promise<void> {
    this.#loading ??= Promise.allSettled([
      this.#api.get('/auth/oauth/providers').then((providers) => (this.#providers = providers)),
      this.#api.get('/auth/policy').then((policy) => (this.#policy = policy))
    ]).then((results) => {
      if (results.some(({ status }) => status === 'rejected')) this.#loading = undefined;
    });
    return this.#loading;
  }

  /** Reloads the policy after the first account was created. */
  reload(): Promise<void> {
    this.#loading = undefined;
    return this.load();
  }

  /** Verifies an email address. The password is needed unless the account is signed in here. */
  async verifyEmail(token: string, password?: string): Promise<void> {
    await this.#api.post('/auth/verify-email', { token, ...(password ? { password } : {}) });
  }

  async resendVerification(email: string): Promise<void> {
    await this.#api.post('/auth/resend-verification', { email });
  }

  /** Confirms a change of an email address by the token of a mailed link. */
  confirmEmailChange(token: string): Promise<EmailChange> {
    return this.#api.post('/auth/confirm_email_change', { token });
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

/** URL that starts an OAuth sign-in and returns to `next`. */
export function oauthStartUrl(provider: string, next: string, { link = false } = {}): string {
  const query = new URLSearchParams({ next, ...(link ? { link: 'true' } : {}) });
  return `${base}/r1/auth/oauth/${encodeURIComponent(provider)}/start?${query}`;
}
