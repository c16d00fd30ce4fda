import type { FieldError } from './client.ts';

type SentenceOf = (refused: FieldError) => string | undefined;

/** Brought once the line is open, or where one signs up, to whoever reads another language than the server’s: its own sentences say more. */
let sentenceOf = $state.raw<SentenceOf>();

export const provideErrorMessages = (given: SentenceOf) => (sentenceOf = given);

/** Why a field is refused, in the reader’s language where that is known. */
export const inWords: SentenceOf = (refused) => sentenceOf?.(refused);
