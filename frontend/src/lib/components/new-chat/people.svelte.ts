import type { Id, User } from '#lib/api/types.ts';
import type { Presence } from '#lib/stores/presence.svelte.ts';
import type { Workspaces } from '#lib/stores/workspaces.svelte.ts';

const TYPING_PAUSE = 150;

/** People of the current workspace who fit what is typed; oneself is not among them. */
export class PeopleSearch {
  query = $state('');
  items = $state.raw<User[]>([]);
  /** Nothing has come back yet for the first time. */
  isLoading = $state(true);
  error = $state<unknown>(null);

  readonly #workspaces: Workspaces;
  readonly #presence: Presence;
  readonly #ownId: Id | undefined;
  #turn = 0;

  /** To be made in a component's initialisation: it follows `query` from there. */
  constructor(workspaces: Workspaces, presence: Presence, ownId: Id | undefined) {
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
      this.#presence.learn(found.items);
      this.items = found.items.filter((user) => user.id !== this.#ownId);
      this.error = null;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}
