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

function door(name) {
  return {
    at: `/${name}`,
    name,
    kind: 'doors',
    files: ['routes/(auth)/+layout.svelte', `routes/(auth)/${name}/+page.svelte`]
  };
}
