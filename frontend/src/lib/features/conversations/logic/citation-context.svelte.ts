/** Citations of an answer, and the one whose source is open. */
import { createContext } from 'svelte';
import type { Citation } from '#lib/features/assistants/api.ts';

export interface OpenCitation {
  readonly messageId: string;
  readonly n: number;
  /** Citation mark at which the popover opens. */
  readonly anchor: HTMLElement;
}

/** Citation whose source is open. There is at most one on the page. */
export const source = $state<{ shown: OpenCitation | null }>({ shown: null });

/** Answer and the citations to which the marks in its text refer. */
export interface Citing {
  readonly messageId: string;
  readonly citations: readonly Citation[];
}

export const [useCiting, setCiting] = createContext<Citing>();
