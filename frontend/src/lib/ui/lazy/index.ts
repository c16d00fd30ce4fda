export { default as Lazy } from './lazy.svelte';
export { default as LazyPage } from './lazy-page.svelte';
