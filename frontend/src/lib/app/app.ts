import { createContext } from 'svelte';
import { Api, type Locks } from '#lib/api/client.ts';
import { BrowserRenewal } from '#lib/api/renewal.ts';
import { ConfirmationStore } from '#lib/features/auth/confirmation.svelte.ts';
import { Connection } from '#lib/realtime/connection.svelte.ts';
import { ConversationsStore } from '#lib/features/conversations/conversations.svelte.ts';
import { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';
import { RateLimitStore } from '#lib/features/auth/rate-limits.svelte.ts';
import { PresenceStore } from '#lib/features/people/presence.svelte.ts';
import { SectionsStore } from '#lib/features/conversations/sections.svelte.ts';
import { SessionStore } from '#lib/features/auth/session.svelte.ts';
import { SettingsStore } from '#lib/features/settings/settings.svelte.ts';
import { ShellStore } from '#lib/features/shell/shell.svelte.ts';
import { SidebarStore } from '#lib/features/conversations/sidebar.svelte.ts';
import { WorkspacesStore } from '#lib/features/workspaces/workspaces.svelte.ts';
import { withBase } from '#lib/util/address.ts';
import { painted } from '#lib/util/first-paint.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import { onResume } from '#lib/util/resume.ts';

/** Stores that live as long as the page does. */
export interface App {
  api: Api;
  session: SessionStore;
  authPolicy: AuthPolicyStore;
  rateLimits: RateLimitStore;
  confirmation: ConfirmationStore;
  connection: Connection;
  conversations: ConversationsStore;
  sections: SectionsStore;
  sidebar: SidebarStore;
  presence: PresenceStore;
  workspaces: WorkspacesStore;
  settings: SettingsStore;
  shell: ShellStore;
}

export const [useApp, provideApp] = createContext<App>();

export function createApp(): App {
  const storage = persistentStorage;
  const api = new Api({
    locks: navigator.locks as Locks | undefined,
    storage,
    renewal: new BrowserRenewal(storage),
    early: window.natterEarly
  });
  const session = new SessionStore(api, {
    storage,
    channel: new BroadcastChannel('natter.session'),
    reload: (where) => (where === 'home' ? location.replace(withBase('/')) : location.reload()),
    clearWorkerCache: () => navigator.serviceWorker?.controller?.postMessage('natter.forget'),
    clearLocalData: (userId) => {
      import('./clear-local-data.ts')
        .then(({ localStoresOf, clearAfterSignOut }) => clearAfterSignOut(userId, localStoresOf(storage)))
        .catch(() => undefined);
    }
  });
  const connection = new Connection(api);
  connection.on(({ type }: { type: string }) => {
    if (type === 'account.own') void session.refresh();
  });
  connection.onStale(session, () => void session.refresh());
  const presence = new PresenceStore(connection, session);
  const conversations = new ConversationsStore(api, connection, session, presence);
  const sections = new SectionsStore(api, connection);
  const app: App = {
    api,
    session,
    authPolicy: new AuthPolicyStore(api),
    rateLimits: new RateLimitStore(api),
    confirmation: new ConfirmationStore(api),
    connection,
    conversations,
    sections,
    sidebar: new SidebarStore(conversations, sections, storage),
    presence,
    workspaces: new WorkspacesStore(api, connection, storage),
    settings: new SettingsStore(storage, matchMedia('(prefers-color-scheme: dark)')),
    shell: new ShellStore()
  };
  onResume(() => api.resume());
  connection.onConnect(() => {
    api.clearEarlyRequests();
    // Detects that a visible device was asleep; no other event reports that.
    if (connection.wasAway) api.resume();
    // If the import fails, it is tried again at the next connection.
    painted
      .then(() => import('./on-app-ready.ts'))
      .then(({ onAppReady }) => onAppReady(app))
      .catch(() => undefined);
  });
  return app;
}
