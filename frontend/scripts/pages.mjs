/** Each page whose first load is looked after, by what its address begins with: its kind, its layouts and itself. */
export const PAGES = [
  door('sign-in'),
  door('sign-up'),
  door('forgot-password'),
  door('reset-password'),
  door('verify-email'),
  door('invite'),
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
    'arrive.ts',
    'components/activity/pass.ts',
    'components/activity/rail-entry.svelte',
    'components/moderation/warnings.svelte',
    'components/money/credits-entry.svelte',
    'components/shell/dialogs.svelte',
    'components/shell/rail-work.svelte',
    'components/threads/threads-entry.svelte',
    'stores/draft-sync.svelte.ts'
  ],
  conversation: [
    'chat/channel-links.ts',
    'chat/uploader.ts',
    'components/chat/composer.svelte',
    'components/chat/drop-target.svelte',
    'components/chat/empty-conversation.svelte',
    'components/chat/later-parts.ts',
    'components/chat/mention-list.svelte',
    'components/files/tray.svelte',
    'stores/message-tasks.svelte.ts',
    'stores/own-emoji.svelte.ts'
  ]
};

function door(name) {
  return {
    at: `/${name}`,
    name,
    kind: 'doors',
    files: ['routes/(auth)/+layout.svelte', `routes/(auth)/${name}/+page.svelte`]
  };
}
