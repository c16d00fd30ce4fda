/** Serialises changes to one resource: two requests in flight may reach the server in either order, so the last click could lose. */

/** Upper bound for the wait on an earlier request, in milliseconds. */
const MAX_WAIT_MS = 20_000;
/** Actions with an opposite at a sibling path; both change the same state. */
const OPPOSITE_ACTIONS = /\/(?:read|unread|archive|unarchive|join|leave|cancel|resume)$/;

/** Resource changed by a request; null if it changes none or creates one. */
export function subjectOf(method: string, path: string): string | null {
  const [plain = ''] = path.split('?');
  if (method === 'GET') return null;
  if (method !== 'POST') return plain;
  return OPPOSITE_ACTIONS.test(plain) ? plain.slice(0, plain.lastIndexOf('/') + 1) : null;
}

export class MutationQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `act` after earlier calls for the same subject have settled. */
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

/** Bounded wait, so that a dead connection doesn't block the queue. */
async function settledOrTimedOut(turn: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, MAX_WAIT_MS)));
  await Promise.race([turn, patience]);
  clearTimeout(timer);
}
