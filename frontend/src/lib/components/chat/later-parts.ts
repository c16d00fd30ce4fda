/** Parts of a conversation that are small and come together. */
export { default as CatchUp } from '../catch-up/in-conversation.svelte';
export { default as Forwarded } from '../forward/forwarded.svelte';
export { default as Linked } from '../forward/linked.svelte';
export { default as MessageFoot } from '../kept/message-foot.svelte';
export { default as Poll } from '../polls/poll.svelte';
export { default as ScheduledRows } from '../later/scheduled-rows.svelte';
export { default as ThreadRule } from '../threads/thread-rule.svelte';
export { default as ComposerAbout } from './composer-about.svelte';
export { default as Strips } from './strips.svelte';
export { default as Versions } from './versions.svelte';
