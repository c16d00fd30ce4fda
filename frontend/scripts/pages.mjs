/** Layouts of the pages of the app, with what SvelteKit shows if such a page fails, which it always loads. */
const APP = ['routes/(app)/+layout.svelte', 'routes/(app)/+error.svelte'];
/** Files that SvelteKit loads with every page. */
export const ROOT_FILES = ['routes/+layout.svelte', 'routes/+error.svelte'];

/** Pages whose first load is measured: start of the path, kind, and files (layouts and page). */
export const PAGES = [
  authPage('sign-in'),
  authPage('sign-up'),
  authPage('forgot-password'),
  authPage('reset-password'),
  authPage('verify-email'),
  authPage('invite'),
  {
    at: '/c/',
    name: 'a conversation',
    kind: 'conversation',
    files: [...APP, 'routes/(app)/c/[id]/+page.svelte']
  },
  {
    at: '/settings',
    name: 'the settings',
    kind: 'settings',
    files: [...APP, 'routes/(app)/settings/+page.svelte']
  },
  {
    at: '/',
    name: 'the start',
    kind: 'start',
    files: [...APP, 'routes/(app)/+page.svelte']
  }
];

/** Modules below `src/lib` that are loaded automatically once a page is shown: those of the app's frame, and those of a conversation. */
export const DEFERRED = {
  frame: [
    'app/on-app-ready.ts',
    'features/notifications/components/desktop-notifier.ts',
    'features/billing/credits-entry.svelte',
    'features/shell/components/dialogs.svelte',
    'features/shell/components/rail-work.svelte',
    'features/shell/components/shell-input.ts',
    'features/shell/components/side-panel.svelte',
    'features/threads/threads-entry.svelte',
    'features/conversations/draft-sync.svelte.ts',
    'features/conversations/last-open.ts'
  ],
  composer: [
    'features/files/logic/uploader.ts',
    'features/conversations/composer.svelte',
    'features/conversations/drop-target.svelte',
    'features/conversations/components/empty-conversation.svelte',
    'features/conversations/components/deferred-parts.ts',
    'features/conversations/composer/mention-list.svelte',
    'features/files/tray.svelte'
  ]
};

function authPage(name) {
  return {
    at: `/${name}`,
    name,
    kind: 'auth',
    files: ['routes/(auth)/+layout.svelte', `routes/(auth)/${name}/+page.svelte`]
  };
}
