/** Module that `scripts/words.mjs` generates during the build. */
declare module 'virtual:words' {
  /** Loads the messages of the first pages in the reader's language. */
  export function load(): Promise<void>;
}
