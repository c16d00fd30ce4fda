import type { FieldError } from './client.ts';

type SentenceOf = (refused: FieldError) => string | undefined;

/**
 * Translator of field errors. Loaded after the first connection or on the sign-up page; never in English, because the server's messages are English.
 */
let sentenceOf = $state.raw<SentenceOf>();

export const provideErrorMessages = (given: SentenceOf) => (sentenceOf = given);

/** Translates a field error into the reader’s language; undefined if there is no translation. */
export const inWords: SentenceOf = (refused) => sentenceOf?.(refused);
