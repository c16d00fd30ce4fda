import type { Api } from '#lib/api/client.ts';
import type {
  NewToolServer,
  OfferedServer,
  SignInResult,
  ToolCommand,
  ToolConnected,
  ToolConnection,
  ToolMode,
  ToolPermission,
  ToolServer,
  ToolServerChange
} from '#lib/api/tools.ts';
import type { Id } from '#lib/api/types.ts';
import type { UsablePrompt } from '#lib/features/prompts/templates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 100;

/** Tool servers of the installation, for admins. */
export class ToolServersStore {
  readonly list: PagedResource<ToolServer>;
  /** Commands that the configuration allows for tool servers. */
  readonly commands: PagedResource<ToolCommand>;
  /** Ids of the servers that are being checked. */
  checking = $state.raw<ReadonlySet<Id>>(new Set());
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(
      (page) => api.get('/admin/mcp_servers', { page, page_size: PAGE_SIZE }),
      ({ id }) => id
    );
    this.commands = new PagedResource((page) => api.get('/admin/mcp_commands', { page, page_size: PAGE_SIZE }));
  }

  async add(input: NewToolServer): Promise<ToolServer> {
    return this.#upsert(await this.#api.post('/admin/mcp_servers', input));
  }

  async change(id: Id, input: ToolServerChange): Promise<ToolServer> {
    return this.#upsert(await this.#api.patch(`/admin/mcp_servers/${id}`, input));
  }

  setModes(id: Id, tools: readonly string[], mode: ToolMode): Promise<ToolServer> {
    return this.change(id, { modes: Object.fromEntries(tools.map((tool) => [tool, mode])) });
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/admin/mcp_servers/${id}`);
    this.list.remove((server) => server.id === id);
  }

  /** Loads the tools of a server. If that fails, the reason is in `error` of the returned server. */
  async check(id: Id): Promise<ToolServer> {
    this.checking = new Set([...this.checking, id]);
    try {
      return this.#upsert(await this.#api.post(`/admin/mcp_servers/${id}/refresh`));
    } finally {
      this.checking = new Set([...this.checking].filter((other) => other !== id));
    }
  }

  #upsert(server: ToolServer): ToolServer {
    this.list.upsert(
      server,
      ({ id }) => id === server.id,
      (a, b) => a.name.localeCompare(b.name)
    );
    return server;
  }
}

/** Tool servers whose tools can be given to assistants. */
export function offeredServers(api: Api): PagedResource<OfferedServer> {
  return new PagedResource((page) => api.get('/mcp_servers', { page, page_size: PAGE_SIZE }));
}

/** Prompt of a tool server in the form of a saved prompt. The server renders its text. */
export interface RenderedPrompt extends UsablePrompt {
  id: string;
  server: string;
  command: string;
}

/** Prompts that the tool servers offer. */
export function madePrompts(api: Api, servers: readonly OfferedServer[]): RenderedPrompt[] {
  return servers.flatMap(({ id, name: server, prompts }) =>
    (prompts ?? []).map(({ name, title, description, arguments: asked }) => ({
      id: `${id}/${name}`,
      server,
      command: name,
      title: title ?? name,
      // Braces in the description are separated, because it contains no variables.
      content: [(description ?? '').replaceAll('{{', '{ {'), asked.map((one) => `{{${one.name}}}`).join(' ')]
        .filter((part) => part !== '')
        .join('\n'),
      needed: asked.filter((one) => one.is_required).map((one) => one.name),
      make: async (values: Readonly<Record<string, string>>) =>
        (await api.post(`/mcp_servers/${id}/prompts`, { name, arguments: values })).text
    }))
  );
}

/** Tool server that requires a connected account. */
export type Connectable = ToolConnection & { readonly id: Id };

/** Accounts that the user has connected with tool servers. */
export class ToolConnectionsStore {
  readonly list: PagedResource<Connectable>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(
      async (page) => {
        const found = await api.get('/mcp_connections', { page, page_size: PAGE_SIZE });
        return { ...found, items: found.items.map((one) => ({ ...one, id: one.server_id })) };
      },
      ({ id }) => id
    );
  }

  /** Connection with a server; undefined if there is none or it isn't loaded. */
  of(serverId: Id): Connectable | undefined {
    return this.list.items.find(({ id }) => id === serverId);
  }

  async disconnect(connection: Connectable): Promise<void> {
    await this.#api.delete(`/mcp_servers/${connection.id}/connection`);
    this.list.upsert({ ...connection, state: 'none', connected_at: null }, ({ id }) => id === connection.id);
  }
}

/** Starts the sign-in at a tool server; returns its URL. The server redirects to `/tools/connected/{id}`, which continues at `next`. */
export async function signInAt(api: Api, serverId: Id, next: string): Promise<string> {
  return (await api.post(`/mcp_servers/${serverId}/connection`, { next })).url;
}

/** Connects the account with which the user has signed in, after the redirect. */
export function connectAccount(api: Api, result: SignInResult): Promise<ToolConnected> {
  return api.post('/mcp_connections', result);
}

/** Approvals that the user has saved for later tool calls. */
export class ToolPermissionsStore {
  readonly list: PagedResource<ToolPermission>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource(
      (page) => api.get('/tool_permissions', { page, page_size: PAGE_SIZE }),
      ({ id }) => id
    );
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`/tool_permissions/${id}`);
    this.list.remove((permission) => permission.id === id);
  }
}
