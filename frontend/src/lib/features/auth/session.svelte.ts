import { ApiError, type Api } from '#lib/api/client.ts';
import type { Account, Challenge, CustomStatus, Id, Proof, Tokens, User } from '#lib/api/types.ts';
import { thisMinute } from '#lib/util/clock.ts';

/** State of the session. `ended`: it has expired, but the page stays until someone signs in again. `unreachable`: the server did not answer. */
export type SessionState = 'unknown' | 'signed-in' | 'ended' | 'signed-out' | 'unreachable';

const HINT = 'natter.session';
/** Age in milliseconds from which a sign-out message of another tab is considered delayed because this tab was asleep. */
const SLEEP_THRESHOLD = 10_000;

/** Message to the other tabs about a sign-out. */
interface SignedOutMessage {
  readonly left: Id;
  readonly at: number;
}

interface SessionOptions {
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  channel?: BroadcastChannel | undefined;
  /** Reloads the page for another account, either at the current path (`here`) or at the start page (`home`). */
  reload?: (where: 'here' | 'home') => void;
  /** Clears the service worker's cache. Called at sign-out. */
  clearWorkerCache?: () => void;
  /** Clears the local data of an account. Called when it has signed out. */
  clearLocalData?: (userId: Id) => void;
}

/**
 * Session of this browser. Scripts can't read its tokens, which are cookies. The last account is kept in local storage, so that a browser that never
 * signed in sends no request.
 */
export class SessionStore {
  state = $state<SessionState>('unknown');
  /** Signed-in account. While the state is `unknown`, the last known account; while it is `ended`, the account whose page is still shown. */
  account = $state<Account | null>(null);
  sessionId = $state<string | null>(null);
  /** Whether the session ended without the user signing out here. */
  ended = $state(false);
  isSigningOut = $state(false);

  #readAt: number | null = null;
  /** Id of the account whose data the stores of this page may hold; undefined before the first sign-in. */
  #pageOf: Id | undefined;

  readonly #api: Api;
  readonly #storage: SessionOptions['storage'];
  readonly #channel: BroadcastChannel | undefined;
  readonly #reload: (where: 'here' | 'home') => void;
  readonly #forgetRead: () => void;
  readonly #clearLocalData: (userId: Id) => void;

  constructor(api: Api, options: SessionOptions = {}) {
    this.#api = api;
    this.#storage = options.storage;
    this.#channel = options.channel;
    this.#reload = options.reload ?? (() => undefined);
    this.#forgetRead = options.clearWorkerCache ?? (() => undefined);
    this.#clearLocalData = options.clearLocalData ?? (() => undefined);
    this.account = parseAccount(this.#storage?.getItem(HINT));
    this.#pageOf = this.account?.id;
    api.onSignedOut = () => this.expire();
    this.#channel?.addEventListener('message', (event) => {
      // Handles sign-ins and sign-outs of other tabs.
      const told = event.data as string | SignedOutMessage;
      if (typeof told !== 'string') this.#applySignOut(told);
      else if (told === 'signed-out') this.#clear();
      else if (told === 'signed-in' && this.state !== 'signed-in') void this.load();
    });
  }

  /** Signed-in account. Throws while nobody is signed in. */
  get user(): Account {
    if (!this.account) throw new Error('nobody is signed in');
    return this.account;
  }

  /** Display name of a person. The user's own name comes from the account, because that is always current. */
  nameOf({ id, display_name }: Pick<User, 'id' | 'display_name'>): string {
    return this.account?.id === id ? this.account.display_name : display_name;
  }

  /** Custom status of the user; null if there is none or it has expired. */
  get status(): CustomStatus | null {
    const said = this.account?.custom_status ?? null;
    return said?.until && Date.parse(said.until) <= thisMinute().getTime() ? null : said;
  }

  /** Whether the app is shown instead of the sign-in page: the user is signed in or expected to be. */
  get isPresent(): boolean {
    const isLikely = this.state === 'unknown' && this.account !== null;
    return this.state === 'signed-in' || this.state === 'ended' || isLikely;
  }

  /** Whether the browser has a stored account, so that its user is expected to be signed in. */
  get isLikely(): boolean {
    return this.account !== null;
  }

  async load(): Promise<void> {
    try {
      this.#setAccount(await this.#api.get('/users/me'));
    } catch (error) {
      if (isRefused(error)) this.expire();
      else if (this.state !== 'signed-in' && this.state !== 'ended') this.state = 'unreachable';
    }
  }

  /** Time at which the account was loaded, in milliseconds since 1970; null if never. */
  get requestedAt(): number | null {
    return this.#readAt;
  }

  /** Loads the account again, because it may have changed on another device. */
  async refresh(): Promise<void> {
    const isHere = () => this.state === 'signed-in' && !this.isSigningOut;
    if (!isHere()) return;
    try {
      const account = await this.#api.get('/users/me');
      // Ignores the response if the user has signed out meanwhile.
      if (isHere()) this.#setAccount(account);
    } catch (error) {
      if (isRefused(error)) this.expire();
    }
  }

  /** Sets the state to signed out without a request. Called in a browser that never signed in. */
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
    this.#acceptTokens(await this.#api.post('/auth/signup', form));
  }

  /** Signs in. If a second factor is required, returns its challenge. */
  async signIn(form: { email: string; password: string }): Promise<Challenge | null> {
    const answer = await this.#api.post('/auth/signin', form);
    if ('challenge' in answer) return answer;
    this.#acceptTokens(answer);
    return null;
  }

  async answer(challenge: string, proof: Proof): Promise<void> {
    this.#acceptTokens(await this.#api.post('/auth/signin/challenge', { challenge, ...proof }));
  }

  async signInWithPasskey(options: { conditional?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    const start = await this.#api.post('/auth/passkeys/signin/start', {});
    const { usePasskey } = await import('./webauthn.ts');
    const credential = await usePasskey(start.publicKey, options);
    const finish = { challenge_id: start.challenge_id, credential };
    this.#acceptTokens(await this.#api.post('/auth/passkeys/signin/finish', finish));
  }

  /** Loads the account after a sign-in by redirect or popup, and notifies the other tabs. */
  async resumeFromOAuth(): Promise<void> {
    // Clears the service worker's cache, because the account may be another one.
    this.#forgetRead();
    await this.load();
    if (this.state === 'signed-in') this.#channel?.postMessage('signed-in');
  }

  async signOut(): Promise<void> {
    // The WebSocket may close before the response arrives: `isSigningOut` marks that as expected. The id is needed after the account was cleared.
    const left = this.account?.id;
    this.isSigningOut = true;
    try {
      await this.#api.post('/auth/logout');
    } catch (error) {
      // If the session has expired already, signing out has succeeded. Other errors are reported, or a shared computer would stay signed in
      // unnoticed.
      if (!(error instanceof ApiError && error.status === 401)) {
        this.isSigningOut = false;
        throw error;
      }
    }
    this.#signOutAllTabs(left);
  }

  /** Signs out this tab without waiting for the server. */
  signOutLocally(): void {
    this.isSigningOut = true;
    this.#clear();
  }

  async updateProfile(profile: Pick<Account, 'display_name' | 'title' | 'pronouns'>): Promise<void> {
    this.#setAccount(await this.#api.patch('/users/me', profile));
  }

  async setCustomStatus(status: { emoji: string | null; text: string | null; until: string | null }): Promise<void> {
    this.#setAccount(await this.#api.patch('/users/me/status', status));
  }

  /** Changes the language, time zone and presence of the user. */
  async updatePreferences(
    choice: Partial<Pick<Account, 'language' | 'timezone' | 'show_timezone' | 'chosen_presence'>>
  ): Promise<void> {
    this.#setAccount(await this.#api.patch('/users/me', choice));
  }

  async changePassword(current: string, next: string): Promise<void> {
    await this.#api.post('/auth/change-password', { current_password: current, password: next });
  }

  /** Requests an export of the account's data. */
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

  /** Ends the session after the server has rejected it. The page stays, so that the user can sign in again. */
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

  #acceptTokens(tokens: Tokens): void {
    this.#setAccount(tokens.user, tokens.session_id);
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

  /** Handles the sign-out in another tab. This tab clears the local data too, because it may have stored unsaved content since then. */
  #applySignOut({ left, at }: SignedOutMessage): void {
    // The message is old and the user has signed in again since: the new data stays.
    const isBack = Date.now() - at > SLEEP_THRESHOLD && parseAccount(this.#storage?.getItem(HINT))?.id === left;
    this.#clear();
    if (!isBack) this.#clearLocalData(left);
  }

  #setAccount(own: User, sessionId: string | null = this.sessionId): void {
    // `GET /users/me` returns the private fields, such as the email address, as well.
    const account = own as Account;
    this.#storage?.setItem(HINT, JSON.stringify(account));
    if (this.#pageOf !== undefined && this.#pageOf !== account.id) {
      // If an account signs in after the session of another one has expired, it starts at the root.
      this.#reload(this.state === 'ended' ? 'home' : 'here');
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

/** Whether the server has rejected the session. Bans and errors of proxies say nothing about it. */
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
