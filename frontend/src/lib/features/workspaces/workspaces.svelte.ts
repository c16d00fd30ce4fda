import type { Api } from '#lib/api/client.ts';
import type { JoinableWorkspace } from '#lib/features/auth/api.ts';
import type { Assistant, Id, Page, User, Workspace, WorkspaceMember, WorkspaceRole } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

const CURRENT = 'natter.workspace';

/** Workspaces of the account, and the one that is selected. */
export class WorkspacesStore {
  /** Called when the account has lost access to a workspace. */
  onLost: ((workspace: Workspace) => void) | undefined;
  items = $state<Workspace[]>([]);
  joinable = $state.raw<JoinableWorkspace[]>([]);
  isLoaded = $state(false);
  error = $state<unknown>(null);
  #currentId = $state<Id | null>(null);

  readonly #api: Api;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;
  /** Ids of the workspaces that the user is leaving or deleting here. */
  readonly #leaving = new Set<Id>();
  #requestedAt: number | null = null;
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(api: Api, live?: LiveUpdates, storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#api = api;
    this.#storage = storage;
    this.#currentId = storage?.getItem(CURRENT) ?? null;
    live?.on(({ type }) => {
      if (type === 'workspace.changed' || type === 'resync') void this.load();
    });
    live?.onStale(this, () => void this.load());
  }

  /** Time of the last request; null if never requested, -Infinity if it failed. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  /** Selected workspace. If none is selected, one with other members, or else the personal one. Undefined until loaded. */
  get current(): Workspace | undefined {
    return (
      this.items.find((workspace) => workspace.id === this.#currentId) ??
      this.items.find((workspace) => !workspace.personal) ??
      this.items[0]
    );
  }

  /** Whether the user may invite people to the selected workspace. */
  get mayInvite(): boolean {
    const { current } = this;
    return !!current && !current.personal && (current.role === 'owner' || current.role === 'admin');
  }

  /** Reloads the workspaces. Only one request is sent at a time; calls during a request share the next one. */
  load(): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      this.#reading = this.#read();
      return this.#reading;
    });
    return this.#next;
  }

  choose(id: Id): void {
    this.#currentId = id;
    this.#storage?.setItem(CURRENT, id);
  }

  async create(name: string): Promise<Workspace> {
    const workspace = await this.#api.post('/workspaces', { name });
    this.items = [...this.items, workspace];
    this.choose(workspace.id);
    return workspace;
  }

  get(id: Id): Workspace | undefined {
    return this.items.find((workspace) => workspace.id === id);
  }

  async change(id: Id, change: { name?: string; join_domains?: string[] }): Promise<void> {
    this.#upsert(await this.#api.patch(`/workspaces/${id}`, change));
  }

  /** Loads the workspaces that the account may join because of the domain of its email address. */
  async loadJoinable(): Promise<void> {
    this.joinable = (await this.#api.get('/workspaces/joinable', { page_size: 50 })).items;
  }

  async join(id: Id): Promise<void> {
    await this.#api.post(`/workspaces/${id}/join`, {});
    this.joinable = this.joinable.filter((workspace) => workspace.id !== id);
    await this.load();
    this.choose(id);
  }

  leave(id: Id): Promise<void> {
    return this.#part(id, () => this.#api.post(`/workspaces/${id}/leave`, {}));
  }

  remove(id: Id): Promise<void> {
    return this.#part(id, () => this.#api.delete(`/workspaces/${id}`));
  }

  members(id: Id, page: number, q?: string): Promise<Page<WorkspaceMember>> {
    return this.#api.get(`/workspaces/${id}/members`, { page, page_size: 50, q: q || undefined });
  }

  setRole(id: Id, userId: Id, role: WorkspaceRole): Promise<WorkspaceMember> {
    return this.#api.patch(`/workspaces/${id}/members/${userId}`, { role });
  }

  async removeMember(id: Id, userId: Id): Promise<void> {
    await this.#api.delete(`/workspaces/${id}/members/${userId}`);
  }

  addMember(id: Id, email: string): Promise<WorkspaceMember> {
    return this.#api.post(`/workspaces/${id}/members`, { email });
  }

  /** Assistants of a workspace, the default one first. */
  async assistants(id: Id | undefined): Promise<Assistant[]> {
    const found = await this.#api.get('/assistants', { workspace_id: id, page_size: 200 });
    return found.items.toSorted((a, b) => Number(b.is_default) - Number(a.is_default));
  }

  /** Searches the members of a workspace by part of a name or by a complete email address. */
  findPeople(id: Id, q: string, { page_size = 50 } = {}): Promise<Page<User>> {
    return this.#api.get('/users', { workspace_id: id, q: q === '' ? undefined : q, page_size });
  }

  async #read(): Promise<void> {
    this.error = null;
    this.#requestedAt = Date.now();
    const before = this.items;
    try {
      const { items } = await this.#api.get('/workspaces', { page_size: 200 });
      const isIn = (list: Workspace[], { id }: Workspace) => list.some((other) => other.id === id);
      // Workspaces that were created during the request are missing in its response, so they are kept.
      const made = this.items.filter((workspace) => !isIn(before, workspace) && !isIn(items, workspace));
      const lost = this.items.filter((workspace) => isIn(before, workspace) && !isIn(items, workspace));
      this.items = [...items, ...made];
      this.isLoaded = true;
      for (const workspace of lost) if (!this.#leaving.has(workspace.id)) this.onLost?.(workspace);
    } catch (error) {
      this.error = error;
      this.#requestedAt = -Infinity;
    }
  }

  #upsert(changed: Workspace): void {
    this.items = this.items.map((workspace) => (workspace.id === changed.id ? changed : workspace));
  }

  /** Leaves or deletes a workspace. The event about that may arrive before the response; `#leaving` keeps the workspace from being reported as lost. */
  async #part(id: Id, run: () => Promise<unknown>): Promise<void> {
    this.#leaving.add(id);
    try {
      await run();
      this.items = this.items.filter((workspace) => workspace.id !== id);
    } finally {
      this.#leaving.delete(id);
    }
  }

  reset(): void {
    this.items = [];
    this.joinable = [];
    this.isLoaded = false;
    this.error = null;
    this.#requestedAt = null;
  }
}
