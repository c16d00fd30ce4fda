import { loadMessages } from '#lib/paraglide/groups/initial.js';

export const ssr = false;

/** Loads the messages in the reader's language, which the first render needs. */
export const load = () => loadMessages();
