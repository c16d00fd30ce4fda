/** Fake connection to the server for tests of stores. */
import { ApiError, type Details } from '#lib/api/client.ts';
import type { AckPayload, HelloPayload, ServerFrame } from '#lib/api/types.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { OutboxStorage } from '#lib/realtime/outbox-storage.ts';
import type { Outgoing } from '#lib/realtime/state.ts';
import type { OutgoingFiles } from '#lib/features/files/attachments.svelte.ts';
import { isStale, type LoadedData } from '#lib/realtime/live-updates.ts';
import type { MessageUpdates } from './stores/messages.svelte.ts';

interface Request {
  type: string;
  payload: Record<string, unknown>;
  resolve: (payload: AckPayload) => void;
  reject: (error: Error) => void;
}

export class FakeLiveUpdates implements MessageUpdates {
  ready = true;
  readonly requests: Request[] = [];
  readonly told: { type: string; payload: Record<string, unknown> }[] = [];
  readonly #handlers = new Set<(frame: ServerFrame) => void>();
  readonly #helloHandlers = new Set<(hello: HelloPayload) => void>();
  #hellos = 0;

  on(handler: (frame: ServerFrame) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  onConnect(handler: (hello: HelloPayload) => void): () => void {
    this.#helloHandlers.add(handler);
    return () => this.#helloHandlers.delete(handler);
  }

  onStale(reading: LoadedData, handler: () => void): () => void {
    return this.onConnect(() => {
      if (isStale(reading, this.#hellos === 1)) handler();
    });
  }

  request(type: string, payload: unknown): Promise<AckPayload> {
    if (!this.ready) return Promise.reject(new Error('not connected'));
    return new Promise((resolve, reject) => {
      this.requests.push({ type, payload: payload as Record<string, unknown>, resolve, reject });
    });
  }

  notify(type: string, payload: unknown): void {
    if (this.ready) this.told.push({ type, payload: payload as Record<string, unknown> });
  }

  receive(frame: unknown): void {
    for (const handler of this.#handlers) handler(frame as ServerFrame);
  }

  greet(conversations: HelloPayload['conversations'] = []): void {
    this.ready = true;
    this.#hellos += 1;
    for (const handler of this.#helloHandlers) handler({ conversations } as HelloPayload);
  }

  /** Closes the connection; the pending requests get no response. */
  lose(): void {
    this.ready = false;
    for (const request of this.requests.splice(0)) request.reject(new Error('the connection was lost'));
  }

  /** Returns the oldest pending request and removes it. */
  next(): Request {
    const request = this.requests.shift();
    if (!request) throw new Error('nothing was asked');
    return request;
  }

  refuse(code: string, retryAfter?: number, details?: Details): void {
    this.next().reject(new ApiError(400, code, `refused: ${code}`, undefined, [], retryAfter, details));
  }
}

export class MemoryOutboxStorage implements OutboxStorage {
  readonly kept = new Map<string, Outgoing>();
  /** Number of background syncs that were registered. */
  woken = 0;

  wake(): void {
    this.woken += 1;
  }

  load(userId: string): Promise<Outgoing[]> {
    return Promise.resolve([...this.kept].filter(([key]) => key.startsWith(userId)).map(([, outgoing]) => outgoing));
  }

  put(userId: string, outgoing: Outgoing): Promise<void> {
    this.kept.set(`${userId}/${outgoing.client_id}`, outgoing);
    return Promise.resolve();
  }

  remove(userId: string, clientId: string): Promise<void> {
    this.kept.delete(`${userId}/${clientId}`);
    return Promise.resolve();
  }
}

/** Fake attachments, whose uploads finish when the test says so. */
export class FakeFiles implements OutgoingFiles {
  /** Keys of the files that were released. */
  readonly gone: string[] = [];
  readonly #refused = new Set<string>();
  #waiting: (() => void)[] = [];

  async deliver(taken: readonly AttachedFile[]): Promise<string[]> {
    const refused = taken.find(({ key }) => this.#refused.has(key));
    if (refused) throw new ApiError(422, 'upload_failed', `${refused.name} is too large.`);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return taken.map(({ key }) => `upload-${key}`);
  }

  sent(taken: readonly AttachedFile[]): void {
    this.gone.push(...taken.map(({ key }) => key));
  }

  release(taken: readonly AttachedFile[]): void {
    this.sent(taken);
  }

  hopeful(taken: readonly AttachedFile[]): Promise<readonly AttachedFile[]> {
    return Promise.resolve(taken.filter(({ key }) => !this.#refused.has(key)));
  }

  arrive(): void {
    for (const tell of this.#waiting.splice(0)) tell();
  }

  refuse(key: string): void {
    this.#refused.add(key);
  }
}
