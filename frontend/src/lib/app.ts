import { createContext } from 'svelte';
import { Api, type Locks } from './api/client.ts';
import { BrowserRenewal } from './api/renewal.ts';
import { Confirmation } from './stores/confirmation.svelte.ts';
import { Connection } from './stores/connection.svelte.ts';
import { Conversations } from './stores/conversations.svelte.ts';
import { Entrance } from './stores/entrance.svelte.ts';
import { Limits } from './stores/limits.svelte.ts';
import { Presence } from './stores/presence.svelte.ts';
import { Sections } from './stores/sections.svelte.ts';
import { Session } from './stores/session.svelte.ts';
import { Settings } from './stores/settings.svelte.ts';
import { Shell } from './stores/shell.svelte.ts';
import { Sidebar } from './stores/sidebar.svelte.ts';
import { Workspaces } from './stores/workspaces.svelte.ts';
import { withBase } from '#lib/address.ts';
import { shown } from './shown.ts';
import { whenWoken } from './wake.ts';

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
      import('./left-behind.ts')
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
      .then(() => import('./arrive.ts'))
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
