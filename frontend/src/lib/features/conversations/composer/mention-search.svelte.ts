/** Finds the names that match a mention being typed: first those known here, and in a large conversation those that the server finds. */
import type { Name } from '../mentions.ts';
import { matching } from './mention-query.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';

const TYPING_PAUSE = 150;
const MAX_ITEMS = 6;

export class MentionSearch {
  #found = $state.raw<readonly Name[]>([]);
  readonly #conversationView: ConversationView;
  readonly #query: () => string | null;
  #turn = 0;

  readonly offers = $derived.by<readonly Name[]>(() => {
    const query = this.#query();
    if (query === null) return [];
    const known = this.#conversationView.directory.names;
    const ids = new Set(known.map(({ id }) => id));
    return matching([...known, ...this.#found.filter(({ id }) => !ids.has(id))], query, MAX_ITEMS);
  });

  /** Must be constructed while a component initialises. `query` returns null while no mention is being typed. */
  constructor(conversationView: ConversationView, query: () => string | null) {
    this.#conversationView = conversationView;
    this.#query = query;
    $effect(() => {
      const query = this.#query();
      if (query === null) return;
      conversationView.directory.loadAssistants();
      if (conversationView.knowsEverybody) return;
      const timer = setTimeout(() => void this.#search(query), TYPING_PAUSE);
      return () => clearTimeout(timer);
    });
  }

  async #search(query: string): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const found = await this.#conversationView.directory.findPeople(query, MAX_ITEMS);
      if (turn === this.#turn) this.#found = found.map(({ id, name }) => ({ id, name, kind: 'person' as const }));
    } catch {
      // If the search fails, only the known names are offered.
    }
  }
}
