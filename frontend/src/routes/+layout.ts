import { load as loadWords } from 'virtual:words';

export const ssr = false;

/** Nothing is drawn before its words are there. */
export const load = () => loadWords();
