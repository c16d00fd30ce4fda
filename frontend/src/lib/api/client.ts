/**
 * HTTP client: sends JSON to `/r1`, unwraps the envelope and throws failures as `ApiError`. Tokens travel in cookies that scripts can't read. When
 * the access token expires, the client refreshes it once and repeats the request. Tabs share the cookies and a refresh token is single-use, so tabs
 * take turns with a lock, and a refresh whose response was lost is repeated with the same `Idempotency-Key`. Changes to one resource are sent in
 * order. Reads and idempotent requests have a timeout, because a dead connection would never answer.
 */
import type { AnswerOf, BodyOf, PathOf, QueryOf } from './calls.ts';
import type * as Described from './generated/types.gen.ts';
import { subjectOf, MutationQueue } from './mutation-queue.ts';
import { base } from '#lib/util/address.ts';

export type FieldError = Described.FieldError;

export type Details = Readonly<Record<string, unknown>>;

export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    /** HTTP status; 0 if the server could not be reached. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId?: string,
    readonly fields: FieldError[] = [],
    /** Delay in seconds that the server requires before the next attempt; undefined if it gave none. */
    readonly retryAfter?: number,
    /** Additional data of the error; its fields depend on `code`. */
    readonly details: Details = {}
  ) {
    super(message);
  }

  get isNetwork(): boolean {
    return this.status === 0;
  }
}

export type Query = Record<string, string | number | boolean | undefined>;

interface Envelope {
  status?: string;
  data?: unknown;
  message?: string;
  code?: string;
  request_id?: string;
  errors?: FieldError[];
  details?: Details | null;
}

/** Subset of `navigator.locks`; absent on plain HTTP outside localhost. */
export interface Locks {
  request<T>(name: string, run: () => Promise<T>): Promise<T>;
}

/** Stores the idempotency key of the refresh in progress where every tab can read it and repeat the refresh. */
export interface Renewal {
  read(): Promise<string | undefined>;
  store(key: string): Promise<void>;
  clear(): Promise<void>;
}

export interface ApiOptions {
  fetch?: typeof fetch;
  locks?: Locks | undefined;
  /** Storage shared by all tabs, which holds the time of the last refresh of the cookies. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  renewal?: Renewal | undefined;
  wait?: (milliseconds: number) => Promise<void>;
  newKey?: () => string;
  /** GET responses that the page requested while this code was loading, by path. */
  early?: Record<string, Promise<Response>> | undefined;
}

const BASE = `${base}/r1`;
const LOCK = 'natter.refresh';
const RENEWED = 'natter.renewed';
const REFRESH_TRIES = 3;

/** Sign-in paths: status 401 from them means wrong credentials, not an ended session. */
const SIGN_IN_PATHS = ['/auth/signin', '/auth/passkeys/signin'];
/** Timeout of reads, in milliseconds. */
const READ_TIMEOUT = 30_000;
/** Age in milliseconds from which a request that is pending when the device wakes up is restarted, because its connection is assumed dead. */
const STALE_REQUEST_AGE = 5_000;
/** Requests without a timeout, because the server may need long: exports, health checks, profiles and long polls. */
const LONG_RUNNING = /\/(?:export|checks|profile)(?:\?|$)|[?&]wait=/;
/** Requests that are safe to repeat, because the server deduplicates them by an id or idempotency key. */
const DEDUPLICATED = /^POST \/(?:auth\/refresh|conversations(?:\/[\w-]+\/messages)?)$/;
/** Requests that may be repeated and sent in any order, because each of them sets the final state. */
const IDEMPOTENT = /^(?:PUT \/|DELETE \/notes\/)/;
const MAX_WAIT_RETRIES = 5;
/** Longest `Retry-After` in seconds that a read waits for; if the server asks for more, the error is thrown. */
const MAX_RETRY_AFTER = 30;

export class Api {
  /** Called when the session could not be refreshed and has ended. */
  onSignedOut: (() => void) | undefined;
  /** Called when a read has to wait because of a rate limit, with the delay in seconds. */
  onSlowed: ((seconds: number) => void) | undefined;
  /** Called when the server requires a recent confirmation of identity; resolves to true after a confirmation. */
  onStale: (() => Promise<boolean>) | undefined;
  /** Called when this network is banned, with the duration in seconds. */
  onBanned: ((seconds: number) => void) | undefined;

  /** Last of the rate-limited requests that wait to be repeated one after another. */
  #slowed: Promise<unknown> = Promise.resolve();
  readonly #fetch: typeof fetch;
  readonly #locks: Locks | undefined;
  readonly #storage: ApiOptions['storage'];
  readonly #renewal: Renewal | undefined;
  readonly #wait: (milliseconds: number) => Promise<void>;
  readonly #newKey: () => string;
  readonly #early: Map<string, Promise<Response>>;
  readonly #turns = new MutationQueue();
  /** Callbacks of the pending reads and uploads; each restarts its request if that began before the given time. */
  readonly #reads = new Set<(before: number) => void>();
  #refreshing: Promise<void> | undefined;

  constructor(options: ApiOptions = {}) {
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.#locks = options.locks;
    this.#storage = options.storage;
    this.#renewal = options.renewal;
    this.#wait = options.wait ?? ((milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)));
    this.#newKey = options.newKey ?? newId;
    this.#early = new Map(Object.entries(options.early ?? {}));
  }

  get<P extends PathOf<'GET'>>(path: P, ...query: QueryOf<'GET', P>): Promise<AnswerOf<'GET', P>>;
  get(path: string, query?: Query): Promise<unknown> {
    return this.#call('GET', path + search(query));
  }

  post<P extends PathOf<'POST'>>(
    path: P,
    ...body: [...BodyOf<'POST', P>, headers?: Record<string, string>]
  ): Promise<AnswerOf<'POST', P>>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<unknown> {
    return this.#call('POST', path, body, headers);
  }

  patch<P extends PathOf<'PATCH'>>(path: P, ...body: BodyOf<'PATCH', P>): Promise<AnswerOf<'PATCH', P>>;
  patch(path: string, body?: unknown): Promise<unknown> {
    return this.#call('PATCH', path, body);
  }

  put<P extends PathOf<'PUT'>>(path: P, ...body: BodyOf<'PUT', P>): Promise<AnswerOf<'PUT', P>>;
  put(path: string, body?: unknown): Promise<unknown> {
    return this.#call('PUT', path, body);
  }

  delete<P extends PathOf<'DELETE'>>(path: P, ...body: BodyOf<'DELETE', P>): Promise<AnswerOf<'DELETE', P>>;
  delete(path: string, body?: unknown): Promise<unknown> {
    return this.#call('DELETE', path, body);
  }

  /** Refreshes the session's cookies; callers in this tab share one attempt. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshInTurn(this.#renewedAt()).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Discards the responses that `app.html` requested early. Called when events start to arrive, because the responses may be older than these. */
  clearEarlyRequests(): void {
    this.#early.clear();
  }

  /** Restarts the pending requests that were sent before the device slept or changed its network. */
  resume(): void {
    for (const again of this.#reads) again(Date.now() - STALE_REQUEST_AGE);
  }

  #call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    const subject = subjectOf(method, path);
    const send = () => this.#sendSignedIn<T>(method, path, body, headers);
    return subject === null ? send() : this.#turns.run(subject, send);
  }

  async #sendSignedIn<T>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> | undefined
  ): Promise<T> {
    const renewedBefore = this.#renewedAt();
    try {
      return await this.#sendPatiently<T>(method, path, body, headers);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'fresh_sign_in_required') {
        if (!(await this.onStale?.())) throw error;
        return await this.#sendPatiently<T>(method, path, body, headers);
      }
      const isAboutSession = error instanceof ApiError && error.code === 'unauthenticated';
      if (!isAboutSession || SIGN_IN_PATHS.some((entrance) => path.startsWith(entrance))) throw error;
      // If another tab refreshed the cookies during this request, the request is repeated without another refresh.
      if (this.#renewedAt() === renewedBefore) await this.refresh();
      return await this.#sendPatiently<T>(method, path, body, headers);
    }
  }

  /**
   * Sends a request and repeats it after the delay if it is a read that was rate-limited. Rate-limited changes are rejected, and the caller decides.
   */
  async #sendPatiently<T>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> | undefined
  ): Promise<T> {
    const send = () => this.#send<T>(method, path, body, headers);
    try {
      return await send();
    } catch (error) {
      if (method !== 'GET') throw error;
      const until = this.#slow(error, 1);
      // Retries run one after another: in parallel they would be rejected together and use up their attempts.
      const turn = this.#slowed.then(() => this.#sendAgain(send, until));
      this.#slowed = turn.catch(() => undefined);
      return await turn;
    }
  }

  async #sendAgain<T>(send: () => Promise<T>, until: number): Promise<T> {
    for (let attempt = 2; ; attempt += 1) {
      const left = until - Date.now();
      if (left > 0) await this.#wait(left);
      try {
        return await send();
      } catch (error) {
        if (attempt >= MAX_WAIT_RETRIES) throw error;
        until = this.#slow(error, attempt);
      }
    }
  }

  /**
   * Returns the time of the next attempt, in milliseconds since 1970. Rethrows errors other than rate limits, and rate limits with too long a delay.
   */
  #slow(error: unknown, attempt: number): number {
    const asked = error instanceof ApiError && error.code === 'rate_limited' ? error.retryAfter : undefined;
    if (asked === undefined || asked > MAX_RETRY_AFTER) throw error;
    const seconds = Math.max(asked, 2 ** (attempt - 1));
    this.onSlowed?.(seconds);
    return Date.now() + seconds * 1000 + 50 + Math.random() * 450;
  }

  async #refreshInTurn(renewedBefore: string | null): Promise<void> {
    const run = async () => {
      if (this.#renewedAt() !== renewedBefore) return;
      await this.#refreshNow();
    };
    try {
      await (this.#locks ? this.#locks.request(LOCK, run) : run());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.onSignedOut?.();
      throw error;
    }
  }

  async #refreshNow(): Promise<void> {
    // A page that was closed during a refresh leaves its idempotency key, which is reused: the server may have executed that refresh already.
    const key = (await this.#renewal?.read()) ?? this.#newKey();
    await this.#renewal?.store(key);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#send('POST', '/auth/refresh', undefined, { 'Idempotency-Key': key });
        this.#storage?.setItem(RENEWED, this.#newKey());
        await this.#renewal?.clear();
        return;
      } catch (error) {
        const lost = error instanceof ApiError && (error.isNetwork || error.status >= 500);
        if (!lost) await this.#renewal?.clear();
        if (!lost || attempt >= REFRESH_TRIES) throw error;
        await this.#wait(300 * 2 ** attempt);
      }
    }
  }

  #renewedAt(): string | null {
    return this.#storage?.getItem(RENEWED) ?? null;
  }

  async #send<T>(method: string, path: string, body: unknown, extra: Record<string, string> = {}): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json', 'X-Natter-Transport': 'cookie', ...extra };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const request = async (signal?: AbortSignal) => {
      const fetched = () =>
        this.#fetch(BASE + path, {
          method,
          headers,
          credentials: 'same-origin',
          cache: 'no-store',
          // Lets the browser finish a refresh even when the page is left, so that its cookies arrive.
          keepalive: 'Idempotency-Key' in extra,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          ...(signal && { signal })
        });
      const early = method === 'GET' ? this.#early.get(path) : undefined;
      this.#early.delete(path);
      try {
        const response = await (early ? early.catch(fetched) : fetched());
        return { response, text: await response.text().catch(() => undefined) };
      } catch {
        throw new ApiError(0, 'network', 'The server could not be reached.');
      }
    };
    const what = `${method} ${path}`;
    const mayBeginAnew = method === 'GET' ? !LONG_RUNNING.test(path) : DEDUPLICATED.test(what);
    const { response, text } = await (mayBeginAnew || IDEMPOTENT.test(what)
      ? this.#inTime(request, mayBeginAnew)
      : request());
    const envelope = readEnvelope(text);
    if (response.ok && envelope) return envelope.data as T;
    const error = failureOf(response.status, text, (header) => response.headers.get(header));
    if (error.code === 'address_banned') this.onBanned?.(error.retryAfter ?? 60);
    throw error;
  }

  /** Runs a request with a timeout. If `mayBeginAnew`, the request is restarted after the device has slept. */
  #inTime<T>(request: (signal: AbortSignal) => Promise<T>, mayBeginAnew: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      let attempt = new AbortController();
      let timer: ReturnType<typeof setTimeout> | undefined;
      let since = 0;
      const finish = () => {
        clearTimeout(timer);
        this.#reads.delete(again);
      };
      const start = () => {
        const mine = (attempt = new AbortController());
        since = Date.now();
        clearTimeout(timer);
        timer = setTimeout(() => {
          finish();
          reject(new ApiError(0, 'timeout', 'The server took too long to answer.'));
          mine.abort();
        }, READ_TIMEOUT);
        const isLatest = () => mine === attempt;
        request(mine.signal)
          .finally(() => isLatest() && finish())
          .then(
            (answer) => isLatest() && resolve(answer),
            (error: Error) => isLatest() && reject(error)
          );
      };
      const again = (before: number) => {
        if (since > before) return;
        const old = attempt;
        start();
        old.abort();
      };
      if (mayBeginAnew) this.#reads.add(again);
      start();
    });
  }
}

function readEnvelope(text: string | undefined): Envelope | undefined {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? (value as Envelope) : undefined;
  } catch {
    return undefined;
  }
}

/** Converts an unsuccessful response, or one that isn't from our server, into an error. */
export function failureOf(
  answered: number,
  text: string | undefined,
  header: (name: string) => string | null
): ApiError {
  // A proxy may answer with HTML or with its own JSON instead of the envelope.
  const read = readEnvelope(text);
  const envelope = typeof read?.code === 'string' ? read : undefined;
  // A 401 without our envelope comes from something in front of the server that has its own sign-in; it says nothing about our session.
  const isNoWord = (answered >= 200 && answered < 300) || (answered === 401 && !envelope);
  const status = isNoWord ? 502 : answered;
  const wait = Number(header('retry-after'));
  return new ApiError(
    status,
    envelope?.code ?? `http_${status}`,
    envelope?.message ?? 'The server gave an answer that this app does not understand.',
    envelope?.request_id ?? header('x-request-id') ?? undefined,
    envelope?.errors ?? [],
    Number.isFinite(wait) && wait > 0 ? wait : undefined,
    envelope?.details ?? {}
  );
}

function search(query: Query | undefined): string {
  const entries = Object.entries(query ?? {}).filter((entry): entry is [string, string | number | boolean] => {
    return entry[1] !== undefined;
  });
  if (entries.length === 0) return '';
  return `?${new URLSearchParams(entries.map(([name, value]) => [name, String(value)]))}`;
}

/** Random UUID; also works on plain HTTP, where `crypto.randomUUID` is missing. */
export function newId(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
