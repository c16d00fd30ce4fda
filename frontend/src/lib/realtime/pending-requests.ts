import { ApiError } from '#lib/api/client.ts';
import type { AckPayload, ErrorPayload, Frame } from '#lib/api/types.ts';

/**
 * Error of a request whose connection ended before the response came. It is unknown whether the request took effect, so it must be repeated
 * idempotently.
 */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

interface Pending {
  resolve: (payload: AckPayload) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Time in milliseconds after which a request without a response is given up. */
const REQUEST_TIMEOUT = 20_000;
/** Types of frames that are responses. Events that a `sync` repeats also name it, but only `sync.done` is its response. */
const ANSWERS = ['ack', 'error', 'pong', 'sync.done'];

/** Requests of a connection that wait for their responses. */
export class PendingRequests {
  readonly #pending = new Map<string, Pending>();

  /**
   * Returns the response to the request `id`. Rejects with an `ApiError`. After a timeout, `ontimeout` is called and the promise rejects with
   * `ConnectionLost`.
   */
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

  /** Resolves or rejects the request to which a frame responds. */
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
