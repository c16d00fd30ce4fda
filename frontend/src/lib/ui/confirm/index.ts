export { confirmed } from './confirm.svelte.ts';
