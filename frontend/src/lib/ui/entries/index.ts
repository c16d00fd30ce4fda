export { default as Entries } from './entries.svelte';
export { default as Entry } from './entry.svelte';
