/** Made by the build: `scripts/words.mjs`. */
declare module 'virtual:words' {
  /** Loads what the first pages say, in the reader's language. */
  export function load(): Promise<void>;
}
