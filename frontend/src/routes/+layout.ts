import { load as loadWords } from 'virtual:words';

export const ssr = false;

/** Loads the messages in the reader's language, which the first render needs. */
export const load = () => loadWords();
