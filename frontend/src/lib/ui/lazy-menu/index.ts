export { default as LazyMenu, type LazyMenuProps } from './lazy-menu.svelte';
