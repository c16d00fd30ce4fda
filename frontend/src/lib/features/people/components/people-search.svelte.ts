import type { Id, User } from '#lib/api/types.ts';
import { rank } from '#lib/ui/listbox/match.ts';
import type { PresenceStore } from '../presence.svelte.ts';
import type { WorkspacesStore } from '#lib/features/workspaces/workspaces.svelte.ts';

const TYPING_PAUSE = 150;

/** Search for people of the workspace other than the user. */
export class PeopleSearch {
  query = $state('');
  error = $state<unknown>(null);

  /** Result of the last response and the query that it belongs to; null before the first one. */
  #found = $state.raw<{ items: readonly User[]; query: string | null }>({ items: [], query: null });
  readonly #isWaiting = $derived(this.#found.query !== this.query.trim());

  /** People who match. Until the response arrives, the previous result is filtered, so that rows don't move. */
  readonly items: readonly User[] = $derived.by(() => {
    if (!this.#isWaiting) return this.#found.items;
    return this.#found.items.filter((user) => rank(user.display_name, this.query) !== undefined);
  });
  readonly isLoading = $derived(this.#isWaiting && !this.error);

  readonly #workspaces: WorkspacesStore;
  readonly #presence: PresenceStore;
  readonly #ownId: Id | undefined;
  #turn = 0;

  /** Must be constructed while a component initialises. */
  constructor(workspaces: WorkspacesStore, presence: PresenceStore, ownId: Id | undefined) {
    this.#workspaces = workspaces;
    this.#presence = presence;
    this.#ownId = ownId;
    $effect(() => {
      const query = this.query.trim();
      const timer = setTimeout(() => void this.search(query), query === '' ? 0 : TYPING_PAUSE);
      return () => clearTimeout(timer);
    });
  }

  async search(query = this.query.trim()): Promise<void> {
    const workspace = this.#workspaces.current;
    if (!workspace) return;
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const found = await this.#workspaces.findPeople(workspace.id, query);
      if (turn !== this.#turn) return;
      this.#presence.add(found.items);
      this.#found = { items: found.items.filter((user) => user.id !== this.#ownId), query };
      this.error = null;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    }
  }
}
