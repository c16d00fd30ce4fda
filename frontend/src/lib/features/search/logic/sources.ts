import { createContext } from 'svelte';
import type { SearchSource } from '../api.ts';

/** Messages by citation number. */
export const [useSources, setSources] = createContext<{ readonly sources: readonly SearchSource[] }>();
