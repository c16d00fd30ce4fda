/**
 * What changes one thing goes one after the other: two requests that are under way at once may reach the server in either order, and then the last
 * press of a switch is not what stays.
 */

/** The server has answered by then, or it never will. */
const MAX_WAIT_MS = 20_000;
/** What has an opposite under a path of its own: the two are about one thing. */
const OPPOSITE_ACTIONS = /\/(?:read|unread|archive|unarchive|join|leave|cancel|resume)$/;

/** What a request changes; null: something new, or nothing. */
export function subjectOf(method: string, path: string): string | null {
  const [plain = ''] = path.split('?');
  if (method === 'GET') return null;
  if (method !== 'POST') return plain;
  return OPPOSITE_ACTIONS.test(plain) ? plain.slice(0, plain.lastIndexOf('/') + 1) : null;
}

export class MutationQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs it when what was begun before about the same has ended, whichever way. */
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

/** A line that is dead without saying so holds nobody up for ever. */
async function settledOrTimedOut(turn: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, MAX_WAIT_MS)));
  await Promise.race([turn, patience]);
  clearTimeout(timer);
}
