import { createContext } from 'svelte';
import type { App } from '#lib/app/app.ts';
import type { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';
import { IdentitiesStore } from '#lib/features/auth/linked-identities.svelte.ts';
import { ToolConnectionsStore } from '#lib/features/tools/tools.svelte.ts';

/** Stores by which the settings decide which sections they show. */
export interface SectionStores {
  readonly authPolicy: AuthPolicyStore;
  readonly identities: IdentitiesStore;
  readonly connections: ToolConnectionsStore;
}

const [useSectionStores, setSectionStores] = createContext<SectionStores>();
export { useSectionStores };

export function provideSectionStores({ api, authPolicy }: App): SectionStores {
  const identities = new IdentitiesStore(api);
  const connections = new ToolConnectionsStore(api);
  void authPolicy.load();
  void identities.list.load();
  void connections.list.load();
  return setSectionStores({ authPolicy, identities, connections });
}
