import type { Api } from '#lib/api/client.ts';
import type { JoinableWorkspace } from '#lib/api/identity.ts';
import type { Id, Page, User, Workspace, WorkspaceMember, WorkspaceRole } from '#lib/api/types.ts';

const CURRENT = 'natter.workspace';

/** The workspaces of the account, and the one that is being looked at. */
export class Workspaces {
  items = $state<Workspace[]>([]);
  joinable = $state.raw<JoinableWorkspace[]>([]);
  isLoaded = $state(false);
  error = $state<unknown>(null);
  #currentId = $state<Id | null>(null);

  readonly #api: Api;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;

  constructor(api: Api, storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#api = api;
    this.#storage = storage;
    this.#currentId = storage?.getItem(CURRENT) ?? null;
  }

  /** The chosen one; else the shared one, for that is where the others are; else the personal one. */
  get current(): Workspace | undefined {
    return (
      this.items.find((workspace) => workspace.id === this.#currentId) ??
      this.items.find((workspace) => !workspace.personal) ??
      this.items[0]
    );
  }

  async load(): Promise<void> {
    this.error = null;
    try {
      this.items = (await this.#api.get<Page<Workspace>>('/workspaces', { page_size: 200 })).items;
      this.isLoaded = true;
    } catch (error) {
      this.error = error;
    }
  }

  choose(id: Id): void {
    this.#currentId = id;
    this.#storage?.setItem(CURRENT, id);
  }

  async create(name: string): Promise<Workspace> {
    const workspace = await this.#api.post<Workspace>('/workspaces', { name });
    this.items = [...this.items, workspace];
    this.choose(workspace.id);
    return workspace;
  }

  get(id: Id): Workspace | undefined {
    return this.items.find((workspace) => workspace.id === id);
  }

  async change(id: Id, change: { name?: string; join_domains?: string[] }): Promise<void> {
    this.#put(await this.#api.patch<Workspace>(`/workspaces/${id}`, change));
  }

  /** Those that take in whoever has an address like this account's. */
  async loadJoinable(): Promise<void> {
    this.joinable = (await this.#api.get<Page<JoinableWorkspace>>('/workspaces/joinable', { page_size: 50 })).items;
  }

  async join(id: Id): Promise<void> {
    await this.#api.post(`/workspaces/${id}/join`, {});
    this.joinable = this.joinable.filter((workspace) => workspace.id !== id);
    await this.load();
    this.choose(id);
  }

  async leave(id: Id): Promise<void> {
    await this.#api.post(`/workspaces/${id}/leave`, {});
    this.#drop(id);
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/workspaces/${id}`);
    this.#drop(id);
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

  /** People of one workspace by a part of their name; the whole address finds them too. */
  findPeople(id: Id, q: string, { page_size = 50 } = {}): Promise<Page<User>> {
    return this.#api.get('/users', { workspace_id: id, q: q === '' ? undefined : q, page_size });
  }

  #put(changed: Workspace): void {
    this.items = this.items.map((workspace) => (workspace.id === changed.id ? changed : workspace));
  }

  #drop(id: Id): void {
    this.items = this.items.filter((workspace) => workspace.id !== id);
  }

  reset(): void {
    this.items = [];
    this.joinable = [];
    this.isLoaded = false;
    this.error = null;
  }
}
