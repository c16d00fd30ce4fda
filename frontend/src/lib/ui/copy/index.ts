export { default as CopyButton } from './copy-button.svelte';
export { default as Fresh } from './fresh.svelte';
