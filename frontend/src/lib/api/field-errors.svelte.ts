import type { FieldError } from './client.ts';

type SentenceOf = (refused: FieldError) => string | undefined;

/** Loaded after the first connection or on the sign-up page, only for languages other than English: the server's own messages are English. */
let sentenceOf = $state.raw<SentenceOf>();

export const provideErrorMessages = (given: SentenceOf) => (sentenceOf = given);

/** Field error in the reader’s language, if there is a translation. */
export const inWords: SentenceOf = (refused) => sentenceOf?.(refused);
