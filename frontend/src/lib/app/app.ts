import { createContext } from 'svelte';
import { Api, type Locks } from '#lib/api/client.ts';
import { BrowserRenewal } from '#lib/api/renewal.ts';
import { Confirmation } from '#lib/features/auth/confirmation.svelte.ts';
import { Connection } from '#lib/realtime/connection.svelte.ts';
import { Conversations } from '#lib/features/conversations/conversations.svelte.ts';
import { Entrance } from '#lib/features/auth/auth-policy.svelte.ts';
import { Limits } from '#lib/features/auth/rate-limits.svelte.ts';
import { Presence } from '#lib/features/people/presence.svelte.ts';
import { Sections } from '#lib/features/conversations/sections.svelte.ts';
import { Session } from '#lib/features/auth/session.svelte.ts';
import { Settings } from '#lib/features/settings/settings.svelte.ts';
import { Shell } from '#lib/features/shell/shell.svelte.ts';
import { Sidebar } from '#lib/features/conversations/sidebar.svelte.ts';
import { Workspaces } from '#lib/features/workspaces/workspaces.svelte.ts';
import { withBase } from '#lib/util/address.ts';
import { shown } from '#lib/util/first-paint.ts';
import { whenWoken } from '#lib/util/resume.ts';

/** Everything that lives as long as the page. */
export interface App {
  api: Api;
  session: Session;
  entrance: Entrance;
  limits: Limits;
  confirmation: Confirmation;
  connection: Connection;
  conversations: Conversations;
  sections: Sections;
  sidebar: Sidebar;
  presence: Presence;
  workspaces: Workspaces;
  settings: Settings;
  shell: Shell;
}

export const [useApp, provideApp] = createContext<App>();

export function createApp(): App {
  const storage = safeStorage();
  const api = new Api({
    locks: navigator.locks as Locks | undefined,
    storage,
    renewal: new BrowserRenewal(storage),
    early: window.natterEarly
  });
  const session = new Session(api, {
    storage,
    channel: new BroadcastChannel('natter.session'),
    startOver: (where) => (where === 'home' ? location.replace(withBase('/')) : location.reload()),
    forget: () => navigator.serviceWorker?.controller?.postMessage('natter.forget'),
    left: (userId) => {
      import('./clear-local-data.ts')
        .then(({ placesOf, tidyAfter }) => tidyAfter(userId, placesOf(storage)))
        .catch(() => undefined);
    }
  });
  const connection = new Connection(api);
  connection.on(({ type }: { type: string }) => {
    if (type === 'account.own') void session.refresh();
  });
  connection.onReturn(session, () => void session.refresh());
  const presence = new Presence(connection, session);
  const conversations = new Conversations(api, connection, session, presence);
  const sections = new Sections(api, connection);
  const app: App = {
    api,
    session,
    entrance: new Entrance(api),
    limits: new Limits(api),
    confirmation: new Confirmation(api),
    connection,
    conversations,
    sections,
    sidebar: new Sidebar(conversations, sections, storage),
    presence,
    workspaces: new Workspaces(api, connection, storage),
    settings: new Settings(storage, matchMedia('(prefers-color-scheme: dark)')),
    shell: new Shell()
  };
  whenWoken(() => api.resume());
  connection.onHello(() => {
    api.dropEarly();
    // A device that sleeps in front of somebody tells of it by nothing else.
    if (connection.wasAway) api.resume();
    // Not in time for this hello, it is there for the next one.
    shown
      .then(() => import('./on-app-ready.ts'))
      .then(({ arrive }) => arrive(app))
      .catch(() => undefined);
  });
  return app;
}

/** A browser may forbid storage; then nothing is remembered, and all else works. */
export function safeStorage(): Storage | undefined {
  try {
    localStorage.getItem('natter.theme');
    return localStorage;
  } catch {
    return undefined;
  }
}
