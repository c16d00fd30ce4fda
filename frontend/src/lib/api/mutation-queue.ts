/**
 * Queue that sends changes to one resource one after another: two requests in flight may reach the server in either order, so that the last click
 * could lose.
 */

/** Longest time in milliseconds that a request waits for an earlier one. */
const MAX_WAIT_MS = 20_000;
/** Actions that have an opposite at a sibling path, such as `read` and `unread`. They change the same state, so they share a queue. */
const OPPOSITE_ACTIONS = /\/(?:read|unread|archive|unarchive|join|leave|cancel|resume)$/;

/** Returns the path of the resource that a request changes; null if it changes none or creates one. */
export function subjectOf(method: string, path: string): string | null {
  const [plain = ''] = path.split('?');
  if (method === 'GET') return null;
  if (method !== 'POST') return plain;
  return OPPOSITE_ACTIONS.test(plain) ? plain.slice(0, plain.lastIndexOf('/') + 1) : null;
}

export class MutationQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `act` once the earlier calls with the same subject have settled. */
  async run<T>(subject: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(subject);
    let end: () => void = () => undefined;
    const turn = new Promise<void>((resolve) => (end = resolve));
    this.#last.set(subject, turn);
    try {
      if (before) await settledOrTimedOut(before);
      return await act();
    } finally {
      end();
      if (this.#last.get(subject) === turn) this.#last.delete(subject);
    }
  }
}

/** Resolves when `turn` has settled or `MAX_WAIT_MS` have passed, so that a dead connection doesn't block the queue. */
async function settledOrTimedOut(turn: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, MAX_WAIT_MS)));
  await Promise.race([turn, patience]);
  clearTimeout(timer);
}
