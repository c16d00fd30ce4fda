import type { Api } from '#lib/api/client.ts';
import type { Id, Page, User, Workspace, WorkspaceMember } from '#lib/api/types.ts';

const CURRENT = 'natter.workspace';

/** The workspaces of the account, and the one that is being looked at. */
export class Workspaces {
  items = $state<Workspace[]>([]);
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

  members(id: Id, page: number): Promise<Page<WorkspaceMember>> {
    return this.#api.get(`/workspaces/${id}/members`, { page, page_size: 50 });
  }

  addMember(id: Id, email: string): Promise<WorkspaceMember> {
    return this.#api.post(`/workspaces/${id}/members`, { email });
  }

  /** People of one workspace by a part of their name; the whole address finds them too. */
  findPeople(id: Id, q: string, { page_size = 50 } = {}): Promise<Page<User>> {
    return this.#api.get('/users', { workspace_id: id, q: q === '' ? undefined : q, page_size });
  }

  reset(): void {
    this.items = [];
    this.isLoaded = false;
    this.error = null;
  }
}
