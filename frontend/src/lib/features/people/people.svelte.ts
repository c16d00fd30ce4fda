/**
 * Names of people in large conversations, of whose members only the first are loaded. Names that were seen are kept; others are loaded on demand,
 * each once.
 */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id, UserChanged } from '#lib/api/types.ts';

export interface Person {
  readonly id: Id;
  readonly name: string;
}

export class PeopleStore {
  readonly #names = new SvelteMap<Id, SvelteMap<Id, string>>();
  readonly #asked = new Set<Id>();
  readonly #api: Pick<Api, 'get'>;

  constructor(api: Pick<Api, 'get'>) {
    this.#api = api;
  }

  /** People of a conversation whose names are known. */
  in(conversationId: Id): Person[] {
    return [...(this.#names.get(conversationId) ?? [])].map(([id, name]) => ({ id, name }));
  }

  nameOf(conversationId: Id, id: Id): string | undefined {
    return this.#names.get(conversationId)?.get(id);
  }

  add(conversationId: Id, { id, name }: Person): void {
    let known = this.#names.get(conversationId);
    if (!known) {
      known = new SvelteMap();
      this.#names.set(conversationId, known);
    }
    if (known.get(id) !== name) known.set(id, name);
  }

  /** Applies the change of a name. */
  applyChange({ user_id: id, display_name: name }: UserChanged): void {
    for (const [conversationId, names] of this.#names) if (names.has(id)) this.add(conversationId, { id, name });
  }

  /** Loads a name that isn't known. */
  async find(conversationId: Id, id: Id): Promise<void> {
    if (this.nameOf(conversationId, id) !== undefined || this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      this.add(conversationId, { id, name: (await this.#api.get(`/users/${id}`)).display_name });
    } catch {
      // The person was deleted, or the client is offline: requested again when needed.
      this.#asked.delete(id);
    }
  }

  /** Searches the members of a conversation on the server. */
  async search(conversationId: Id, q: string, most: number): Promise<Person[]> {
    const found = await this.#api.get(`/conversations/${conversationId}/members`, {
      q: q || undefined,
      page_size: most
    });
    return found.items.map(({ user_id: id, display_name: name }) => ({ id, name }));
  }
}
