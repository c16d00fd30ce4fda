/** Tools that an assistant may use, by server. */
import type { Tool, ToolGrant } from '#lib/api/tools.ts';
import type { Id } from '#lib/api/types.ts';

export function grantOf(grants: readonly ToolGrant[], serverId: Id): ToolGrant | undefined {
  return grants.find(({ server_id }) => server_id === serverId);
}

/** Replaces the tools that are granted of a server: null for all of them, undefined for none. */
export function withGrant(grants: readonly ToolGrant[], serverId: Id, tools: string[] | null | undefined): ToolGrant[] {
  const others = grants.filter(({ server_id }) => server_id !== serverId);
  return tools === undefined || tools?.length === 0 ? others : [...others, { server_id: serverId, tools }];
}

export function allOf(tools: readonly Pick<Tool, 'name'>[]): string[] {
  return tools.map(({ name }) => name);
}
