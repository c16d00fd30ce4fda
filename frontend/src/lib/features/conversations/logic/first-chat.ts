import { newId } from '#lib/api/client.ts';
import type { Conversation, NewConversation } from '#lib/api/types.ts';

type TabStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

const STORAGE_KEY = 'natter.first-chat';

interface StartedConversation {
  /** For which wish. */
  of: string;
  id: string;
}

/**
 * The chat that a first question makes. However often that is tried it is one, until the question is handed over to be
 * sent there; also where the page is loaded anew in between.
 */
export class FirstChat {
  #begun: StartedConversation | null;
  readonly #storage: TabStorage | undefined;

  constructor(storage: TabStorage | undefined) {
    this.#storage = storage;
    this.#begun = parsed(storage?.getItem(STORAGE_KEY));
  }

  async make(input: NewConversation, create: (input: NewConversation) => Promise<Conversation>): Promise<Conversation> {
    const made = await create({ ...input, client_id: this.#idOf(input) });
    if (made.last_message === null) return made;
    // Found in the list meanwhile, and written in: what is asked now is another chat.
    this.done();
    return create({ ...input, client_id: this.#idOf(input) });
  }

  /** The question is on its way. */
  done(): void {
    this.#begun = null;
    this.#storage?.removeItem(STORAGE_KEY);
  }

  #idOf(input: NewConversation): string {
    const of = JSON.stringify(input);
    if (this.#begun?.of !== of) {
      this.#begun = { of, id: newId() };
      this.#storage?.setItem(STORAGE_KEY, JSON.stringify(this.#begun));
    }
    return this.#begun.id;
  }
}

function parsed(text: string | null | undefined): StartedConversation | null {
  try {
    return JSON.parse(text ?? 'null') as StartedConversation | null;
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
