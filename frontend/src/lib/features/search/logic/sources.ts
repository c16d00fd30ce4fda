import { createContext } from 'svelte';
import type { SearchSource } from '../api.ts';

/** Messages to which the citation marks of an answer refer, by number. */
export const [useSources, setSources] = createContext<{ readonly sources: readonly SearchSource[] }>();
