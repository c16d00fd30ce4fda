/** Names of people, channels and emoji that texts can show, provided as Svelte context. Empty outside conversations. */
import { getContext, setContext } from 'svelte';
import type { Name } from './mentions.ts';

type Names = () => readonly Name[];

const KEY = Symbol('names');
const NOBODY: Names = () => [];

export const useNames = (): Names => getContext<Names | undefined>(KEY) ?? NOBODY;
export const setNames = (names: Names): Names => setContext(KEY, names);
export const setNobody = (): Names => setNames(NOBODY);
