/** The sources of an answer, and the one that is looked at. */
import { createContext } from 'svelte';
import type { Citation } from '#lib/features/assistants/api.ts';

export interface Shown {
  readonly messageId: string;
  readonly n: number;
  /** What was pressed to see it. */
  readonly anchor: HTMLElement;
}

/** One at a time in the whole page. */
export const source = $state<{ shown: Shown | null }>({ shown: null });

/** What the marks in a text stand for. */
export interface Citing {
  readonly messageId: string;
  readonly citations: readonly Citation[];
}

export const [useCiting, setCiting] = createContext<Citing>();
