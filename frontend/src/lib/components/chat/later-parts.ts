/** Parts of a conversation that are small and come together. */
export { actionsOf } from '#lib/chat/actions.ts';
export { longPress } from '#lib/chat/long-press.ts';
export { GrowingMarkdown } from '#lib/chat/markdown/growing.ts';
export { default as CatchUp } from '../catch-up/in-conversation.svelte';
export { default as Forwarded } from '../forward/forwarded.svelte';
export { default as Linked } from '../forward/linked.svelte';
export { default as MessageFoot } from '../kept/message-foot.svelte';
export { default as Poll } from '../polls/poll.svelte';
export { default as ModelChoice } from './model-choice.svelte';
export { default as ReceiptColumn } from './receipt-column.svelte';
export { default as ScheduledRows } from '../later/scheduled-rows.svelte';
export { default as ThreadRule } from '../threads/thread-rule.svelte';
export { default as ComposerAbout } from './composer-about.svelte';
export { default as Strips } from './strips.svelte';
export { default as TypingIndicator } from './typing-indicator.svelte';
export { default as Versions } from './versions.svelte';
