import { load as loadWords } from 'virtual:words';

export const ssr = false;

/** Messages must be loaded before the first render. */
export const load = () => loadWords();
