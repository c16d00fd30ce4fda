import { ApiError, type Api } from '#lib/api/client.ts';
import type { Account, Challenge, CustomStatus, Id, Proof, Tokens, User } from '#lib/api/types.ts';
import { thisMinute } from '#lib/util/clock.ts';

/**
 * `ended`: the session is over, but the page of the one who had it stays as it is until somebody signs in.
 * `unreachable`: the server did not say who we are.
 */
export type SessionState = 'unknown' | 'signed-in' | 'ended' | 'signed-out' | 'unreachable';

const HINT = 'natter.session';
/** A tab that hears so late (milliseconds) that somebody has left was asleep. */
const SIGN_OUT_WINDOW = 10_000;

/** What the other tabs are told when somebody leaves. */
interface SignedOutMessage {
  readonly left: Id;
  readonly at: number;
}

interface SessionOptions {
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  channel?: BroadcastChannel | undefined;
  /** Begins a new page, because another account must find nothing of the one before: at the same address, or where everybody begins. */
  startOver?: (where: 'here' | 'home') => void;
  /** Nobody is signed in here any more: what was read is not to be kept. */
  clearWorkerCache?: () => void;
  /** Somebody has signed out on purpose. */
  clearLocalData?: (userId: Id) => void;
}

/** Who is signed in here. The tokens themselves stay in cookies; a hint in local storage only saves a pointless question. */
export class SessionStore {
  state = $state<SessionState>('unknown');
  /** While the state is not known yet: whom this browser saw last. While it is `ended`: whose page this is. */
  account = $state<Account | null>(null);
  sessionId = $state<string | null>(null);
  /** The session was ended by someone else than the person at this tab. */
  ended = $state(false);
  /** The person at this tab signed out; the next one starts anew. */
  isSigningOut = $state(false);

  #readAt: number | null = null;
  /** Of whom something may be kept in this page, by stores that live as long as it does. */
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
      // Another tab signed in or out: this one follows.
      const told = event.data as string | SignedOutMessage;
      if (typeof told !== 'string') this.#applySignOut(told);
      else if (told === 'signed-out') this.#clear();
      else if (told === 'signed-in' && this.state !== 'signed-in') void this.load();
    });
  }

  /** Only to be read while signed in. */
  get user(): Account {
    if (!this.account) throw new Error('nobody is signed in');
    return this.account;
  }

  /** Somebody’s name as it was read; one’s own as it is now. */
  nameOf({ id, display_name }: Pick<User, 'id' | 'display_name'>): string {
    return this.account?.id === id ? this.account.display_name : display_name;
  }

  /** What one says of oneself now. */
  get status(): CustomStatus | null {
    const said = this.account?.custom_status ?? null;
    return said?.until && Date.parse(said.until) <= thisMinute().getTime() ? null : said;
  }

  /** Worth showing the app to: signed in, or very likely so, or about to be again. */
  get isPresent(): boolean {
    const isLikely = this.state === 'unknown' && this.account !== null;
    return this.state === 'signed-in' || this.state === 'ended' || isLikely;
  }

  /** True where this browser has signed in before and not out since. */
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

  /** When the account was read last; null: never yet. */
  get requestedAt(): number | null {
    return this.#readAt;
  }

  /** Reads the account anew: it may have been changed on another device. */
  async refresh(): Promise<void> {
    const isHere = () => this.state === 'signed-in' && !this.isSigningOut;
    if (!isHere()) return;
    try {
      const account = await this.#api.get('/users/me');
      // Whoever has left meanwhile is not let in by it.
      if (isHere()) this.#enter(account);
    } catch (error) {
      if (isRefused(error)) this.expire();
    }
  }

  /** For a visitor who opens the sign-in page of a browser that was never signed in. */
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

  /** Signs in, unless a second proof is due: then it gives what has to be answered. */
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

  /** The person signed in at a page that is not ours: this tab and the others learn who it is. */
  async resumeFromOAuth(): Promise<void> {
    // It may be somebody else than who was here before.
    this.#forgetRead();
    await this.load();
    if (this.state === 'signed-in') this.#channel?.postMessage('signed-in');
  }

  async signOut(): Promise<void> {
    // The socket may end before the answer is here: that is no surprise then, and who left is forgotten by then.
    const left = this.account?.id;
    this.isSigningOut = true;
    try {
      await this.#api.post('/auth/logout');
    } catch (error) {
      // Already ended is as good as ended; anything else must be told, or a shared computer stays signed in.
      if (!(error instanceof ApiError && error.status === 401)) {
        this.isSigningOut = false;
        throw error;
      }
    }
    this.#signOutAllTabs(left);
  }

  /** Does not wait for whose page this was to come back. */
  signOutLocally(): void {
    this.isSigningOut = true;
    this.#clear();
  }

  async rename(displayName: string): Promise<void> {
    this.#enter(await this.#api.patch('/users/me', { display_name: displayName }));
  }

  /** What one says of oneself for a while. */
  async setCustomStatus(status: { emoji: string | null; text: string | null; until: string | null }): Promise<void> {
    this.#enter(await this.#api.patch('/users/me/status', status));
  }

  /** In which language the server writes mail to this account, in which time zone one is, whether others are told, and what one is shown as. */
  async updatePreferences(
    choice: Partial<Pick<Account, 'language' | 'timezone' | 'show_timezone' | 'chosen_presence'>>
  ): Promise<void> {
    this.#enter(await this.#api.patch('/users/me', choice));
  }

  async changePassword(current: string, next: string): Promise<void> {
    await this.#api.post('/auth/change-password', { current_password: current, password: next });
  }

  /** Everything that the server keeps about this account. */
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

  /** The server no longer knows this session. Whoever was in the middle of something may go on after signing in again. */
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

  /** Each tab tidies up: one that still has something open might write it down behind the others. */
  #applySignOut({ left, at }: SignedOutMessage): void {
    // Who is back by then has written something new, which is not to go with what was left.
    const isBack = Date.now() - at > SIGN_OUT_WINDOW && parseAccount(this.#storage?.getItem(HINT))?.id === left;
    this.#clear();
    if (!isBack) this.#clearLocalData(left);
  }

  #enter(own: User, sessionId: string | null = this.sessionId): void {
    // One is told one's own address.
    const account = own as Account;
    this.#storage?.setItem(HINT, JSON.stringify(account));
    if (this.#pageOf !== undefined && this.#pageOf !== account.id) {
      // Whose session ended may have left anything open; whoever comes to the door is on the way to somewhere of their own.
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

/** A network that is refused for a while says nothing about who is signed in, and neither does a proxy. */
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
