import { getLocale } from '#lib/paraglide/runtime.js';
import type { FieldError } from './client.ts';

type SentenceOf = (refused: FieldError) => string | undefined;

let sentenceOf = $state.raw<SentenceOf>();

/** The sentences for fields that the server refuses. Its own are English, and say more: who reads that needs no others. */
export async function bringFieldWords(): Promise<void> {
  if (getLocale() === 'en') return;
  // Without them there is what the server says.
  await import('./field-words.ts').then(
    (words) => (sentenceOf = words.sentenceOf),
    () => undefined
  );
}

/** Why a field is refused, in the reader’s language where that is known. */
export function inWords(refused: FieldError): string | undefined {
  return getLocale() === 'en' ? undefined : sentenceOf?.(refused);
}
