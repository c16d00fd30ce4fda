import type { Id, User } from '#lib/api/types.ts';
import { rank } from '#lib/ui/listbox/match.ts';
import type { PresenceStore } from '../presence.svelte.ts';
import type { WorkspacesStore } from '#lib/features/workspaces/workspaces.svelte.ts';

const TYPING_PAUSE = 150;

/** Search for people of the workspace, except oneself. */
export class PeopleSearch {
  query = $state('');
  error = $state<unknown>(null);

  /** Last response and its query; null before the first. */
  #found = $state.raw<{ items: readonly User[]; query: string | null }>({ items: [], query: null });
  readonly #isWaiting = $derived(this.#found.query !== this.query.trim());

  /** Until the response arrives, filters the previous results, so that rows don't move. */
  readonly items: readonly User[] = $derived.by(() => {
    if (!this.#isWaiting) return this.#found.items;
    return this.#found.items.filter((user) => rank(user.display_name, this.query) !== undefined);
  });
  readonly isLoading = $derived(this.#isWaiting && !this.error);

  readonly #workspaces: WorkspacesStore;
  readonly #presence: PresenceStore;
  readonly #ownId: Id | undefined;
  #turn = 0;

  /** Must be constructed during component initialisation. */
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
