import { ApiError, type Api } from '#lib/api/client.ts';
import type { Account, Tokens } from '#lib/api/types.ts';

/** `unreachable`: the server did not say who we are. */
export type SessionState = 'unknown' | 'signed-in' | 'signed-out' | 'unreachable';

const HINT = 'natter.session';

interface SessionOptions {
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  channel?: BroadcastChannel | undefined;
}

/** Who is signed in here. The tokens themselves stay in cookies; a hint in local storage only saves a pointless question. */
export class Session {
  state = $state<SessionState>('unknown');
  /** While the state is not known yet: whom this browser saw last. */
  account = $state<Account | null>(null);
  sessionId = $state<string | null>(null);
  /** The session was ended by someone else than the person at this tab. */
  ended = $state(false);
  /** The person at this tab signed out; the next one starts anew. */
  leftOnPurpose = $state(false);

  readonly #api: Api;
  readonly #storage: SessionOptions['storage'];
  readonly #channel: BroadcastChannel | undefined;

  constructor(api: Api, options: SessionOptions = {}) {
    this.#api = api;
    this.#storage = options.storage;
    this.#channel = options.channel;
    this.account = parseAccount(this.#storage?.getItem(HINT));
    api.onSignedOut = () => this.expire();
    this.#channel?.addEventListener('message', (event) => {
      // Another tab signed in or out: this one follows.
      if (event.data === 'signed-out') this.#forget();
      if (event.data === 'signed-in' && this.state !== 'signed-in') void this.load();
    });
  }

  /** Only to be read while signed in. */
  get user(): Account {
    if (!this.account) throw new Error('nobody is signed in');
    return this.account;
  }

  /** Worth showing the app to: signed in, or very likely so. */
  get isPresent(): boolean {
    return this.state === 'signed-in' || (this.state === 'unknown' && this.account !== null);
  }

  /** True where this browser has signed in before and not out since. */
  get isLikely(): boolean {
    return this.account !== null;
  }

  async load(): Promise<void> {
    try {
      this.#enter(await this.#api.get<Account>('/users/me'));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) this.expire();
      else if (this.state !== 'signed-in') this.state = 'unreachable';
    }
  }

  /** For a visitor who opens the sign-in page of a browser that was never signed in. */
  assumeSignedOut(): void {
    if (this.state === 'unknown') this.state = 'signed-out';
  }

  async signUp(form: { display_name: string; email: string; password: string }): Promise<void> {
    this.#welcome(await this.#api.post<Tokens>('/auth/signup', form));
  }

  async signIn(form: { email: string; password: string }): Promise<void> {
    this.#welcome(await this.#api.post<Tokens>('/auth/signin', form));
  }

  async signOut(): Promise<void> {
    try {
      await this.#api.post('/auth/logout');
    } catch (error) {
      // Already ended is as good as ended; anything else must be told, or a shared computer stays signed in.
      if (!(error instanceof ApiError && error.status === 401)) throw error;
    }
    this.#leave();
  }

  async rename(displayName: string): Promise<void> {
    this.#enter(await this.#api.patch<Account>('/users/me', { display_name: displayName }));
  }

  async changePassword(current: string, next: string): Promise<void> {
    await this.#api.post('/auth/change-password', { current_password: current, password: next });
  }

  /** Everything that the server keeps about this account. */
  exportData(): Promise<unknown> {
    return this.#api.get('/users/me/export');
  }

  async deleteAccount(password: string | undefined): Promise<void> {
    // The socket may end before the answer is here: that is no surprise then.
    this.leftOnPurpose = true;
    try {
      await this.#api.delete('/users/me', { password });
    } catch (error) {
      this.leftOnPurpose = false;
      throw error;
    }
    this.#leave();
  }

  /** The server no longer knows this session. */
  expire(): void {
    this.ended = !this.leftOnPurpose && (this.isPresent || this.ended);
    this.#forget();
  }

  #welcome(tokens: Tokens): void {
    this.sessionId = tokens.session_id;
    this.#enter(tokens.user);
    this.#channel?.postMessage('signed-in');
  }

  #leave(): void {
    this.leftOnPurpose = true;
    this.#forget();
    this.#channel?.postMessage('signed-out');
  }

  #enter(account: Account): void {
    this.account = account;
    this.state = 'signed-in';
    this.ended = false;
    this.leftOnPurpose = false;
    this.#storage?.setItem(HINT, JSON.stringify(account));
  }

  #forget(): void {
    this.state = 'signed-out';
    this.account = null;
    this.sessionId = null;
    this.#storage?.removeItem(HINT);
  }
}

function parseAccount(text: string | null | undefined): Account | null {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    const isAccount = typeof value === 'object' && value !== null && 'id' in value && 'display_name' in value;
    return isAccount ? (value as Account) : null;
  } catch {
    return null;
  }
}
