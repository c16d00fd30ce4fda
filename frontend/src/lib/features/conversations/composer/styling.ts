/** Formatting of the text that is being typed: loaded as one module. */
export { default as StyledText } from './styled-text.svelte';
export { spansOf } from './text-spans.ts';
