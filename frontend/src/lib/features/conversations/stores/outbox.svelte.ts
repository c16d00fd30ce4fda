/**
 * Stores the user's messages until the server has confirmed them. Sends them in order, one at a time per conversation. Sending is idempotent by
 * `client_id`.
 */
import { ApiError, newId } from '#lib/api/client.ts';
import type { AckPayload, Mention } from '#lib/api/types.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { OutboxStorage } from '#lib/realtime/outbox-storage.ts';
import type { LogInput } from '#lib/realtime/reducer.ts';
import { asSent, isServerError, isTemporaryError } from '#lib/realtime/sending.ts';
import type { Failure, Outgoing, Placed } from '#lib/realtime/state.ts';
import type { OutgoingFiles } from '#lib/features/files/attachments.svelte.ts';

/** Length in UTF-16 units from which a message is sent by HTTP, because a frame is limited to 64 KiB. */
const LONG = 8_000;

/** Sends a message by HTTP; returns its sequence number. */
export type Post = (conversationId: string, message: ReturnType<typeof asSent>) => Promise<{ seq: number }>;

export interface OutboxConnection {
  readonly ready: boolean;
  request(type: string, payload: unknown): Promise<AckPayload>;
}

/** Channel to the other tabs, which may have loaded the same messages. */
export type OutboxChannel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

/** Message to the other tabs about a change. A plain id means that the message was discarded. */
type TabMessage = string | { readonly sent: string; readonly seq: number } | { readonly changed: Outgoing };

/** Number of server errors after which a message fails, so that it doesn't block the later ones. */
const MAX_TRIES = 5;
const FIRST_PAUSE = 1_000;
const MAX_PAUSE = 30_000;

export class OutboxStore {
  #queue = $state.raw<readonly Outgoing[]>([]);
  /** End of the server's rate limit, in milliseconds since 1970; 0 if there is none. */
  #slowedUntil = $state(0);
  #userId: string | null = null;
  #lastTime = 0;
  #pauses = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #busy = new Set<string>();
  /** Number of server errors by `client_id` of the message. */
  readonly #tries = new Map<string, number>();
  /** Callbacks of those who wait for the outcome of a message, by its `client_id`. */
  readonly #waiters = new Map<string, (failure: Failure | null) => void>();
  /** Timers of the conversations whose next attempt is delayed. */
  readonly #held = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #live: OutboxConnection;
  readonly #storage: OutboxStorage;
  readonly #notify: (conversationId: string, input: LogInput) => void;
  readonly #post: Post;
  readonly #files: OutgoingFiles;
  readonly #channel: OutboxChannel | undefined;

  constructor(
    live: OutboxConnection,
    storage: OutboxStorage,
    tell: (conversationId: string, input: LogInput) => void,
    post: Post,
    files: OutgoingFiles,
    channel?: OutboxChannel
  ) {
    this.#channel = channel;
    channel?.addEventListener('message', ({ data }) => this.#handleTabMessage(data as TabMessage));
    this.#live = live;
    this.#storage = storage;
    this.#notify = (conversationId, input) => {
      tell(conversationId, input);
      if (input.kind === 'refused') this.#resolveWaiter(input.client_id, input.failure);
      // A message that was sent, discarded, or waits for the connection has not failed.
      else if (input.kind === 'acked' || input.kind === 'waiting' || input.kind === 'discarded')
        this.#resolveWaiter(input.client_id, null);
    };
    this.#post = post;
    this.#files = files;
  }

  /** Number of messages that have not failed and are not sent yet. */
  get waiting(): number {
    return this.#queue.filter((outgoing) => outgoing.state !== 'failed').length;
  }

  /** Unsent replies of a thread. */
  inThread(rootId: string): readonly Outgoing[] {
    return this.#queue.filter(({ thread_id }) => thread_id === rootId);
  }

  get slowedUntil(): number {
    return this.#slowedUntil;
  }

  /** Loads the user's unsent messages and sends them. */
  async open(userId: string): Promise<void> {
    this.close();
    this.#userId = userId;
    const kept = await this.#storage.load(userId);
    if (this.#userId !== userId) return;
    const fresh = new Set(this.#queue.map((outgoing) => outgoing.client_id));
    const restored = kept
      .filter((outgoing) => !fresh.has(outgoing.client_id))
      .map((outgoing) => (outgoing.state === 'failed' ? outgoing : { ...outgoing, state: 'waiting' as const }));
    this.#queue = [...restored, ...this.#queue];
    for (const outgoing of restored) this.#notify(outgoing.conversation_id, { kind: 'queued', outgoing });
    this.resume();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#userId = null;
    this.#queue = [];
    this.#busy.clear();
    this.#tries.clear();
    for (const timer of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
    for (const clientId of [...this.#waiters.keys()]) this.#resolveWaiter(clientId, null);
    this.#slowedUntil = 0;
  }

  send(
    conversationId: string,
    content: string,
    replyTo: string | null,
    mentions: readonly Mention[] = [],
    files: readonly AttachedFile[] = [],
    placed: Placed = {}
  ): string {
    // Each message gets a later time than the one before, because stored messages are ordered by time.
    this.#lastTime = Math.max(Date.now(), this.#lastTime + 1);
    const outgoing: Outgoing = {
      client_id: newId(),
      conversation_id: conversationId,
      content,
      reply_to: replyTo,
      ...(mentions.length > 0 && { mentions }),
      ...(files.length > 0 && { files }),
      ...placed,
      created_at: new Date(this.#lastTime).toISOString(),
      state: 'waiting',
      failure: null,
      seq: null
    };
    this.#queue = [...this.#queue, outgoing];
    this.#notify(conversationId, { kind: 'queued', outgoing });
    const kept = this.#persist(outgoing);
    // The service worker sends the message if the page is closed before the connection is back.
    if (!this.#live.ready) void kept.then(() => this.#storage.wake());
    void this.#pump(conversationId);
    return outgoing.client_id;
  }

  /** Outcome of a message that was just sent: the failure, or null if it was sent or has to wait. */
  outcome(clientId: string): Promise<Failure | null> {
    const outgoing = this.#find(clientId);
    if (!outgoing || outgoing.state === 'failed' || !this.#canSend(outgoing.conversation_id))
      return Promise.resolve(outgoing?.failure ?? null);
    return new Promise((resolve) => this.#waiters.set(clientId, resolve));
  }

  /** Sends a failed message again. If it failed because it notifies many people, this confirms it. */
  retry(clientId: string): void {
    const outgoing = this.#find(clientId);
    if (outgoing?.state !== 'failed') return;
    const confirm = outgoing.confirm || outgoing.failure?.code === 'confirm_mention';
    this.#change(outgoing, { state: 'waiting', failure: null, ...(confirm && { confirm }) });
    this.#notify(outgoing.conversation_id, { kind: 'waiting', client_id: clientId });
    void this.#pump(outgoing.conversation_id);
  }

  /** Replaces the text of a failed message and sends it again. A confirmation that the old text was given isn't used for the new one. */
  reword(clientId: string, content: string, mentions: readonly Mention[]): void {
    const outgoing = this.#find(clientId);
    if (outgoing?.state !== 'failed') return;
    this.#change(outgoing, { content, mentions, failure: null });
    this.#notify(outgoing.conversation_id, { kind: 'reworded', client_id: clientId, content, mentions });
    this.retry(clientId);
  }

  discard(clientId: string): void {
    this.#files.release(this.withdraw(clientId));
  }

  /** Removes an unsent message. The caller gets its attachments. */
  withdraw(clientId: string): readonly AttachedFile[] {
    const outgoing = this.#find(clientId);
    if (!outgoing) return [];
    this.#removeDiscarded(clientId);
    this.#channel?.postMessage(clientId);
    return outgoing.files ?? [];
  }

  /** Applies a change that another tab has made. */
  #handleTabMessage(told: TabMessage): void {
    if (typeof told === 'string') this.#removeDiscarded(told);
    else if ('sent' in told) this.acknowledge(told.sent, told.seq);
    else this.#applyChange(told.changed);
  }

  #applyChange(changed: Outgoing): void {
    const { client_id, conversation_id, content, mentions = [], files = [], state, failure } = changed;
    if (!this.#find(client_id)) return;
    this.#replace(changed);
    this.#notify(conversation_id, { kind: 'reworded', client_id, content, mentions });
    this.#notify(conversation_id, { kind: 'files', client_id, files });
    if (state === 'failed' && failure) this.#notify(conversation_id, { kind: 'refused', client_id, failure });
    else this.#notify(conversation_id, { kind: 'waiting', client_id });
  }

  /** Removes a message that the server has confirmed, whether this tab, another one or the service worker has sent it. */
  acknowledge(clientId: string, seq: number): void {
    const outgoing = this.#find(clientId);
    if (!outgoing) return;
    this.#remove(clientId);
    if (outgoing.files) this.#files.sent(outgoing.files);
    this.#notify(outgoing.conversation_id, { kind: 'acked', client_id: clientId, seq });
  }

  #removeDiscarded(clientId: string): void {
    const outgoing = this.#find(clientId);
    if (!outgoing) return;
    this.#remove(clientId);
    this.#notify(outgoing.conversation_id, { kind: 'discarded', client_id: clientId });
  }

  /** Sends a failed message again without the files that could not be uploaded. */
  async sendWithout(clientId: string): Promise<void> {
    const files = this.#find(clientId)?.files ?? [];
    const hopeful = await this.#files.hopeful(files);
    const outgoing = this.#find(clientId);
    if (outgoing?.state !== 'failed') return;
    if (hopeful.length === 0 && outgoing.content === '') return this.discard(clientId);
    this.#files.release(files.filter((file) => !hopeful.includes(file)));
    this.#change(outgoing, { files: hopeful });
    this.#notify(outgoing.conversation_id, { kind: 'files', client_id: clientId, files: hopeful });
    this.retry(clientId);
  }

  /** Sends the waiting messages. Called after each connection. */
  resume(): void {
    for (const id of new Set(this.#queue.map((outgoing) => outgoing.conversation_id))) void this.#pump(id);
  }

  async #pump(conversationId: string): Promise<void> {
    if (this.#busy.has(conversationId)) return;
    const userId = this.#userId;
    this.#busy.add(conversationId);
    try {
      while (this.#canSend(conversationId) && this.#userId === userId) {
        const next = this.#queue.find((one) => one.conversation_id === conversationId && one.state === 'waiting');
        if (!next || !(await this.#deliver(next))) return;
      }
    } finally {
      this.#busy.delete(conversationId);
    }
  }

  #canSend(conversationId: string): boolean {
    return this.#live.ready && this.#slowedUntil <= Date.now() && !this.#held.has(conversationId);
  }

  /** Sends a message. Returns whether the next one may be sent. */
  async #deliver(outgoing: Outgoing): Promise<boolean> {
    const { client_id, conversation_id, content, forward_of, files = [] } = outgoing;
    this.#notify(conversation_id, { kind: 'sending', client_id });
    try {
      const attachment_ids = files.length > 0 ? await this.#files.deliver(files) : undefined;
      // The message was discarded during the upload.
      if (!this.#find(client_id)) return true;
      const message = asSent(outgoing, attachment_ids);
      const ack: { seq?: number | null } =
        // The WebSocket can't send forwarded messages or long texts.
        content.length > LONG || forward_of
          ? await this.#post(conversation_id, message)
          : await this.#live.request('message.send', { conversation_id, ...message });
      this.#pauses = 0;
      const seq = ack.seq ?? 0;
      this.acknowledge(client_id, seq);
      this.#channel?.postMessage({ sent: client_id, seq } satisfies TabMessage);
      return true;
    } catch (error) {
      // The message was discarded, or another account has signed in.
      if (!this.#find(client_id)) return true;
      if (!(error instanceof ApiError)) {
        this.#notify(conversation_id, { kind: 'waiting', client_id });
        this.#storage.wake();
        // The connection is still there, so no new one will resume sending: tries again after a delay.
        if (this.#live.ready) this.#resumeAfter(conversation_id, FIRST_PAUSE);
        return false;
      }
      const tries = (this.#tries.get(client_id) ?? 0) + 1;
      if (isServerError(error) && tries < MAX_TRIES) {
        this.#tries.set(client_id, tries);
        this.#notify(conversation_id, { kind: 'waiting', client_id });
        this.#resumeAfter(conversation_id, FIRST_PAUSE * 2 ** (tries - 1));
        return false;
      }
      this.#tries.delete(client_id);
      if (isTemporaryError(error)) {
        this.#notify(conversation_id, { kind: 'waiting', client_id });
        // Slow mode delays only the messages of its channel.
        if (error.code === 'slow_mode') this.#resumeAfter(conversation_id, (error.retryAfter ?? 1) * 1_000);
        else this.#pause(error.retryAfter);
        return false;
      }
      const { code, message, details, fields } = error;
      const failure: Failure = { code, message, details, fields };
      this.#change(outgoing, { state: 'failed', failure });
      this.#notify(conversation_id, { kind: 'refused', client_id, failure });
      return true;
    }
  }

  #resolveWaiter(clientId: string, failure: Failure | null): void {
    this.#waiters.get(clientId)?.(failure);
    this.#waiters.delete(clientId);
  }

  #resumeAfter(conversationId: string, milliseconds: number): void {
    clearTimeout(this.#held.get(conversationId));
    const resume = () => {
      this.#held.delete(conversationId);
      void this.#pump(conversationId);
    };
    this.#held.set(conversationId, setTimeout(resume, milliseconds));
  }

  #pause(seconds: number | undefined): void {
    const pause = seconds ? seconds * 1_000 : Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** this.#pauses);
    this.#pauses++;
    this.#slowedUntil = Date.now() + pause;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#slowedUntil = 0;
      this.resume();
    }, pause);
  }

  #find(clientId: string): Outgoing | undefined {
    return this.#queue.find((outgoing) => outgoing.client_id === clientId);
  }

  #change(outgoing: Outgoing, change: Partial<Outgoing>): void {
    const changed = { ...outgoing, ...change };
    this.#replace(changed);
    void this.#persist(changed);
    this.#channel?.postMessage({ changed } satisfies TabMessage);
  }

  #replace(changed: Outgoing): void {
    this.#queue = this.#queue.map((one) => (one.client_id === changed.client_id ? changed : one));
  }

  async #persist(outgoing: Outgoing): Promise<void> {
    if (this.#userId !== null) await this.#storage.put(this.#userId, outgoing);
  }

  #remove(clientId: string): void {
    this.#queue = this.#queue.filter((outgoing) => outgoing.client_id !== clientId);
    if (this.#userId !== null) void this.#storage.remove(this.#userId, clientId);
  }
}
