import { newId } from '#lib/api/client.ts';
import type { Conversation, NewConversation } from '#lib/api/types.ts';

type TabStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

const KEPT = 'natter.first-chat';

interface Begun {
  /** For which wish. */
  of: string;
  id: string;
}

/**
 * The chat that a first question makes. However often that is tried it is one, until the question is handed over to be
 * sent there; also where the page is loaded anew in between.
 */
export class FirstChat {
  #begun: Begun | null;
  readonly #storage: TabStorage | undefined;

  constructor(storage: TabStorage | undefined) {
    this.#storage = storage;
    this.#begun = parsed(storage?.getItem(KEPT));
  }

  async make(wish: NewConversation, create: (wish: NewConversation) => Promise<Conversation>): Promise<Conversation> {
    const made = await create({ ...wish, client_id: this.#idOf(wish) });
    if (made.last_message === null) return made;
    // Found in the list meanwhile, and written in: what is asked now is another chat.
    this.done();
    return create({ ...wish, client_id: this.#idOf(wish) });
  }

  /** The question is on its way. */
  done(): void {
    this.#begun = null;
    this.#storage?.removeItem(KEPT);
  }

  #idOf(wish: NewConversation): string {
    const of = JSON.stringify(wish);
    if (this.#begun?.of !== of) {
      this.#begun = { of, id: newId() };
      this.#storage?.setItem(KEPT, JSON.stringify(this.#begun));
    }
    return this.#begun.id;
  }
}

function parsed(text: string | null | undefined): Begun | null {
  try {
    return JSON.parse(text ?? 'null') as Begun | null;
  } catch {
    return null;
  }
}

/** What this tab remembers; a browser may forbid that. */
export function tabStorage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
