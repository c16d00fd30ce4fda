import { ApiError, type Api } from '#lib/api/client.ts';
import type { Account, Challenge, CustomStatus, Id, Proof, Tokens, User } from '#lib/api/types.ts';
import { thisMinute } from '#lib/util/clock.ts';

/** `ended`: the session has expired, but the page stays until someone signs in. `unreachable`: the server did not answer. */
export type SessionState = 'unknown' | 'signed-in' | 'ended' | 'signed-out' | 'unreachable';

const HINT = 'natter.session';
/** Age after which a sign-out message means that this tab was asleep, in milliseconds. */
const SLEEP_THRESHOLD = 10_000;

/** Broadcast to other tabs at sign-out. */
interface SignedOutMessage {
  readonly left: Id;
  readonly at: number;
}

interface SessionOptions {
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  channel?: BroadcastChannel | undefined;
  /** Reloads the page for another account: at the same path or at the start. */
  startOver?: (where: 'here' | 'home') => void;
  /** Clears the service worker's cache at sign-out. */
  clearWorkerCache?: () => void;
  /** Clears the local data of an account that signed out. */
  clearLocalData?: (userId: Id) => void;
}

/** Session of this browser. Tokens stay in cookies; a hint in local storage avoids a needless request. */
export class SessionStore {
  state = $state<SessionState>('unknown');
  /** Last known account while `unknown`; owner of the page while `ended`. */
  account = $state<Account | null>(null);
  sessionId = $state<string | null>(null);
  /** Whether the session was ended from elsewhere. */
  ended = $state(false);
  /** Whether the user is signing out. */
  isSigningOut = $state(false);

  #readAt: number | null = null;
  /** Account whose data page-lived stores may hold. */
  #pageOf: Id | undefined;

  readonly #api: Api;
  readonly #storage: SessionOptions['storage'];
  readonly #channel: BroadcastChannel | undefined;
  readonly #startOver: (where: 'here' | 'home') => void;
  readonly #forgetRead: () => void;
  readonly #clearLocalData: (userId: Id) => void;

  constructor(api: Api, options: SessionOptions = {}) {
    this.#api = api;
    this.#storage = options.storage;
    this.#channel = options.channel;
    this.#startOver = options.startOver ?? (() => undefined);
    this.#forgetRead = options.clearWorkerCache ?? (() => undefined);
    this.#clearLocalData = options.clearLocalData ?? (() => undefined);
    this.account = parseAccount(this.#storage?.getItem(HINT));
    this.#pageOf = this.account?.id;
    api.onSignedOut = () => this.expire();
    this.#channel?.addEventListener('message', (event) => {
      // Another tab signed in or out.
      const told = event.data as string | SignedOutMessage;
      if (typeof told !== 'string') this.#applySignOut(told);
      else if (told === 'signed-out') this.#clear();
      else if (told === 'signed-in' && this.state !== 'signed-in') void this.load();
    });
  }

  /** Must be read while signed in only. */
  get user(): Account {
    if (!this.account) throw new Error('nobody is signed in');
    return this.account;
  }

  /** Display name; the own one is always current. */
  nameOf({ id, display_name }: Pick<User, 'id' | 'display_name'>): string {
    return this.account?.id === id ? this.account.display_name : display_name;
  }

  /** Own custom status. */
  get status(): CustomStatus | null {
    const said = this.account?.custom_status ?? null;
    return said?.until && Date.parse(said.until) <= thisMinute().getTime() ? null : said;
  }

  /** Whether the app should be shown: signed in or expected to be. */
  get isPresent(): boolean {
    const isLikely = this.state === 'unknown' && this.account !== null;
    return this.state === 'signed-in' || this.state === 'ended' || isLikely;
  }

  /** Whether this browser was signed in last time. */
  get isLikely(): boolean {
    return this.account !== null;
  }

  async load(): Promise<void> {
    try {
      this.#enter(await this.#api.get('/users/me'));
    } catch (error) {
      if (isRefused(error)) this.expire();
      else if (this.state !== 'signed-in' && this.state !== 'ended') this.state = 'unreachable';
    }
  }

  /** Time of the last load; null if never. */
  get requestedAt(): number | null {
    return this.#readAt;
  }

  /** Reloads the account, which may have changed on another device. */
  async refresh(): Promise<void> {
    const isHere = () => this.state === 'signed-in' && !this.isSigningOut;
    if (!isHere()) return;
    try {
      const account = await this.#api.get('/users/me');
      // Signed out meanwhile.
      if (isHere()) this.#enter(account);
    } catch (error) {
      if (isRefused(error)) this.expire();
    }
  }

  /** Skips the session check in a browser that never signed in. */
  assumeSignedOut(): void {
    if (this.state === 'unknown') this.state = 'signed-out';
  }

  async signUp(form: {
    display_name: string;
    email: string;
    password: string;
    invitation?: string;
    setup_token?: string;
  }): Promise<void> {
    this.#welcome(await this.#api.post('/auth/signup', form));
  }

  /** Signs in, or returns the challenge of a second factor. */
  async signIn(form: { email: string; password: string }): Promise<Challenge | null> {
    const answer = await this.#api.post('/auth/signin', form);
    if ('challenge' in answer) return answer;
    this.#welcome(answer);
    return null;
  }

  async answer(challenge: string, proof: Proof): Promise<void> {
    this.#welcome(await this.#api.post('/auth/signin/challenge', { challenge, ...proof }));
  }

  async signInWithPasskey(options: { conditional?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    const start = await this.#api.post('/auth/passkeys/signin/start', {});
    const { usePasskey } = await import('./webauthn.ts');
    const credential = await usePasskey(start.publicKey, options);
    const finish = { challenge_id: start.challenge_id, credential };
    this.#welcome(await this.#api.post('/auth/passkeys/signin/finish', finish));
  }

  /** Loads the account after a sign-in on another page and notifies other tabs. */
  async resumeFromOAuth(): Promise<void> {
    // The account may differ.
    this.#forgetRead();
    await this.load();
    if (this.state === 'signed-in') this.#channel?.postMessage('signed-in');
  }

  async signOut(): Promise<void> {
    // The socket may close before the response, which is expected; read the account before it is cleared.
    const left = this.account?.id;
    this.isSigningOut = true;
    try {
      await this.#api.post('/auth/logout');
    } catch (error) {
      // An expired session is fine; other errors must be reported, or a shared computer stays signed in.
      if (!(error instanceof ApiError && error.status === 401)) {
        this.isSigningOut = false;
        throw error;
      }
    }
    this.#signOutAllTabs(left);
  }

  /** Signs out without waiting for the server. */
  signOutLocally(): void {
    this.isSigningOut = true;
    this.#clear();
  }

  async rename(displayName: string): Promise<void> {
    this.#enter(await this.#api.patch('/users/me', { display_name: displayName }));
  }

  /** Sets the custom status. */
  async setCustomStatus(status: { emoji: string | null; text: string | null; until: string | null }): Promise<void> {
    this.#enter(await this.#api.patch('/users/me/status', status));
  }

  /** Updates language, time zone and presence settings. */
  async updatePreferences(
    choice: Partial<Pick<Account, 'language' | 'timezone' | 'show_timezone' | 'chosen_presence'>>
  ): Promise<void> {
    this.#enter(await this.#api.patch('/users/me', choice));
  }

  async changePassword(current: string, next: string): Promise<void> {
    await this.#api.post('/auth/change-password', { current_password: current, password: next });
  }

  /** Exports the account's data. */
  exportData(): Promise<unknown> {
    return this.#api.get('/users/me/export');
  }

  async deleteAccount(password: string | undefined): Promise<void> {
    const left = this.account?.id;
    this.isSigningOut = true;
    try {
      await this.#api.delete('/users/me', { password });
    } catch (error) {
      this.isSigningOut = false;
      throw error;
    }
    this.#signOutAllTabs(left);
  }

  /** The session has expired; the page stays for a new sign-in. */
  expire(): void {
    if (this.isSigningOut) {
      this.#clear();
      return;
    }
    this.ended = this.isPresent || this.ended;
    if (this.state === 'signed-in' || this.state === 'ended') {
      this.state = 'ended';
      this.sessionId = null;
      this.#storage?.removeItem(HINT);
    } else {
      this.#clear();
    }
  }

  #welcome(tokens: Tokens): void {
    this.#enter(tokens.user, tokens.session_id);
    this.#channel?.postMessage('signed-in');
  }

  #signOutAllTabs(left: Id | undefined): void {
    this.signOutLocally();
    if (left !== undefined) {
      this.#clearLocalData(left);
      this.#channel?.postMessage({ left, at: Date.now() } satisfies SignedOutMessage);
    }
    this.#channel?.postMessage('signed-out');
  }

  /** Every tab clears its data, because it might write unsaved state later. */
  #applySignOut({ left, at }: SignedOutMessage): void {
    // The user has signed in again: keep the new data.
    const isBack = Date.now() - at > SLEEP_THRESHOLD && parseAccount(this.#storage?.getItem(HINT))?.id === left;
    this.#clear();
    if (!isBack) this.#clearLocalData(left);
  }

  #enter(own: User, sessionId: string | null = this.sessionId): void {
    // The own user object includes the email address.
    const account = own as Account;
    this.#storage?.setItem(HINT, JSON.stringify(account));
    if (this.#pageOf !== undefined && this.#pageOf !== account.id) {
      // After an expired session another account starts at the root.
      this.#startOver(this.state === 'ended' ? 'home' : 'here');
      return;
    }
    this.#pageOf = account.id;
    this.account = account;
    this.#readAt = Date.now();
    this.sessionId = sessionId;
    this.state = 'signed-in';
    this.ended = false;
    this.isSigningOut = false;
  }

  #clear(): void {
    this.state = 'signed-out';
    this.account = null;
    this.sessionId = null;
    this.#storage?.removeItem(HINT);
    this.#forgetRead();
  }
}

/** Bans and proxy errors say nothing about the session. */
function isRefused(error: unknown): boolean {
  if (!(error instanceof ApiError) || /^(?:address_banned$|http_)/.test(error.code)) return false;
  return error.status === 401 || error.status === 403;
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
