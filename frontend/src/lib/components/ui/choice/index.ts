export { default as Chips } from './chips.svelte';
export { default as Select } from './select.svelte';
export { default as SelectField } from './select-field.svelte';
