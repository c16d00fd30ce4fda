export { default as Chips } from './chips.svelte';
export { default as Select } from './select.svelte';
export { default as SelectField } from './select-field.svelte';
export { default as Ticks } from './ticks.svelte';
