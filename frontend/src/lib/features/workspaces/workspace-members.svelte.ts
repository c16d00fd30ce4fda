import type { Id, ServerFrame, WorkspaceMember, WorkspaceRole } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import type { PresenceStore } from '#lib/features/people/presence.svelte.ts';
import type { WorkspacesStore } from './workspaces.svelte.ts';

/** Members of a workspace, which can be searched. */
export class WorkspaceMembersStore {
  readonly list: PagedResource<WorkspaceMember>;
  #query = $state('');
  readonly #workspaces: WorkspacesStore;
  readonly #id: Id;

  constructor(workspaces: WorkspacesStore, presence: PresenceStore, id: Id) {
    this.#workspaces = workspaces;
    this.#id = id;
    this.list = new PagedResource(async (page) => {
      const found = await workspaces.members(id, page, this.#query);
      presence.add(found.items.map(({ user }) => user));
      return found;
    });
  }

  /** Part of a name, or a complete email address; empty for all members. */
  get query(): string {
    return this.#query;
  }

  search(query: string): Promise<void> {
    this.#query = query.trim();
    return this.list.load();
  }

  /** Applies changes of members' names. */
  handleFrame(frame: ServerFrame): void {
    if (frame.type === 'user.changed') this.list.change((items) => renameUser(items, frame.payload));
  }

  async add(email: string): Promise<void> {
    await this.#workspaces.addMember(this.#id, email);
    await this.search('');
  }

  async setRole(userId: Id, role: WorkspaceRole): Promise<void> {
    const member = await this.#workspaces.setRole(this.#id, userId, role);
    if (role === 'owner') {
      // The role of the user has changed too, so both are reloaded.
      await Promise.all([this.#workspaces.load(), this.list.load()]);
    } else {
      this.list.upsert(member, ({ user }) => user.id === userId);
    }
  }

  async remove(userId: Id): Promise<void> {
    await this.#workspaces.removeMember(this.#id, userId);
    this.list.remove(({ user }) => user.id === userId);
  }
}
