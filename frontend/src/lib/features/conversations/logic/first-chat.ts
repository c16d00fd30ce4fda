import { newId } from '#lib/api/client.ts';
import type { Conversation, NewConversation } from '#lib/api/types.ts';

type TabStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

const STORAGE_KEY = 'natter.first-chat';

interface StartedConversation {
  /** Request as JSON, by which a repeated one is recognised. */
  of: string;
  id: string;
}

/**
 * Creation of a conversation for a first question. Retries reuse the id, even after a reload, until the question is in the outbox. So only one
 * conversation is created.
 */
export class FirstChat {
  #begun: StartedConversation | null;
  readonly #storage: TabStorage | undefined;

  constructor(storage: TabStorage | undefined) {
    this.#storage = storage;
    this.#begun = parsed(storage?.getItem(STORAGE_KEY));
  }

  async createOnce(
    input: NewConversation,
    create: (input: NewConversation) => Promise<Conversation>
  ): Promise<Conversation> {
    const made = await create({ ...input, client_id: this.#idOf(input) });
    if (made.last_message === null) return made;
    // The conversation already has a message, so this is another question: creates a new conversation.
    this.done();
    return create({ ...input, client_id: this.#idOf(input) });
  }

  /** Ends the reuse of the id. Called when the question is in the outbox. */
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
