import { createContext } from 'svelte';
import type { SearchSource } from '#lib/api/search.ts';

/** The messages that the numbers of an answer stand for. */
export const [useSources, setSources] = createContext<{ readonly sources: readonly SearchSource[] }>();
