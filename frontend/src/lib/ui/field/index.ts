export { default as Field } from './field.svelte';
export { default as PasswordField } from './password-field.svelte';
