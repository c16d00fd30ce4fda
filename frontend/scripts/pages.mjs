/** Each page whose first load is looked after, by what its address begins with: its kind, its layouts and itself. */
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
    files: ['routes/(app)/+layout.svelte', 'routes/(app)/c/[id]/+page.svelte']
  },
  {
    at: '/settings',
    name: 'the settings',
    kind: 'settings',
    files: ['routes/(app)/+layout.svelte', 'routes/(app)/settings/+page.svelte']
  },
  {
    at: '/',
    name: 'the start',
    kind: 'start',
    files: ['routes/(app)/+layout.svelte', 'routes/(app)/+page.svelte']
  }
];

/** What comes by itself as soon as a page is shown, below `src/lib`: what belongs to the frame of all pages, and to a conversation. */
export const SOON = {
  frame: [
    'app/on-app-ready.ts',
    'features/notifications/components/desktop-notifier.ts',
    'features/notifications/rail-entry.svelte',
    'features/moderation/warnings.svelte',
    'features/billing/credits-entry.svelte',
    'features/shell/components/dialogs.svelte',
    'features/shell/components/rail-work.svelte',
    'features/threads/threads-entry.svelte',
    'features/conversations/draft-sync.svelte.ts'
  ],
  conversation: [
    'features/channels/channel-links.ts',
    'features/files/logic/uploader.ts',
    'features/conversations/composer.svelte',
    'features/conversations/drop-target.svelte',
    'features/conversations/components/empty-conversation.svelte',
    'features/conversations/components/deferred-parts.ts',
    'features/conversations/composer/mention-list.svelte',
    'features/files/tray.svelte',
    'features/boards/message-tasks.svelte.ts',
    'features/emoji/own-emoji.svelte.ts'
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
