/** Files of the app that the service worker loads in advance. `scripts/chunk-names.mjs` chooses the folders. */

/** Files that are large and rarely needed, such as fonts and names of emoji. They are cached when they are used. */
const RARE = /\/rare\/|\.(woff2?|ttf|json)$/;
/** Files with the texts of one language. */
const OF_LANGUAGE = /\/languages\/(\w+)\//;

/** Whether a file is loaded in advance for readers of a language. Texts of other languages are cached when they are used. */
export function isNeeded(path: string, language: string): boolean {
  return !RARE.test(path) && (languageOf(path) ?? language) === language;
}

/** Language of a file with texts; undefined for all other files. */
export function languageOf(path: string): string | undefined {
  return OF_LANGUAGE.exec(path)?.[1];
}
