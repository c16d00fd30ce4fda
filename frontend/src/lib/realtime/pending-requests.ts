import { ApiError } from '#lib/api/client.ts';
import type { AckPayload, ErrorPayload, Frame } from '#lib/api/types.ts';

/** The connection ended before the answer came, so whether the request took effect is unknown. Repeat it idempotently. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

interface Pending {
  resolve: (payload: AckPayload) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Timeout of a request, in milliseconds. */
const REQUEST_TIMEOUT = 20_000;
/** A `sync` is also named by the events it replays; only `sync.done` answers it. */
const ANSWERS = ['ack', 'error', 'pong', 'sync.done'];

/** Requests on a connection that await their answers. */
export class PendingRequests {
  readonly #pending = new Map<string, Pending>();

  /** Resolves with the answer to request `id`. Rejects with an `ApiError`, or with `ConnectionLost` after `ontimeout` was called. */
  add(id: string, ontimeout: () => void): Promise<AckPayload> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ConnectionLost('no answer'));
        ontimeout();
      }, REQUEST_TIMEOUT);
      this.#pending.set(id, { resolve, reject, timer });
    });
  }

  /** Settles the request that a frame answers. */
  answer(frame: Frame): void {
    if (!frame.reply_to) return;
    const pending = this.#pending.get(frame.reply_to);
    if (!pending || !ANSWERS.includes(frame.type)) return;
    this.#pending.delete(frame.reply_to);
    clearTimeout(pending.timer);
    if (frame.type === 'error') {
      const { code, message, retry_after, details } = frame.payload as ErrorPayload;
      pending.reject(new ApiError(400, code, message, undefined, [], retry_after ?? undefined, details ?? {}));
    } else {
      pending.resolve(frame.payload as AckPayload);
    }
  }

  /** Rejects all requests with `ConnectionLost`. */
  rejectAll(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(new ConnectionLost('the connection was lost'));
    }
  }
}
