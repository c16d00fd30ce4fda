/** Generated at build time by `scripts/words.mjs`. */
declare module 'virtual:words' {
  /** Loads the messages of the first pages in the reader's language. */
  export function load(): Promise<void>;
}
