/** Sources of an answer and the open one. */
import { createContext } from 'svelte';
import type { Citation } from '#lib/features/assistants/api.ts';

export interface Shown {
  readonly messageId: string;
  readonly n: number;
  /** Element that opened it. */
  readonly anchor: HTMLElement;
}

/** Open citation; one per page. */
export const source = $state<{ shown: Shown | null }>({ shown: null });

/** Citations that marks refer to. */
export interface Citing {
  readonly messageId: string;
  readonly citations: readonly Citation[];
}

export const [useCiting, setCiting] = createContext<Citing>();
