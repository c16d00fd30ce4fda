import { createContext } from 'svelte';
import type { SearchSource } from '../api.ts';

/** The messages that the numbers of an answer stand for. */
export const [useSources, setSources] = createContext<{ readonly sources: readonly SearchSource[] }>();
