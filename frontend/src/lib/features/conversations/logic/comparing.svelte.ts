import type { MessageView } from '../rows.ts';

/** Comparison of two answers; the second is requested when the first has started. */
export interface Compared {
  readonly conversationId: string;
  /** Model of the second answer. */
  readonly model: string;
  /** Existing answer; null for the answer to `question`. */
  readonly first: MessageView | null;
  /** Client id of the prompt. */
  readonly question: string | null;
}

/** Comparison of two models. */
export class ComparisonStore {
  /** Second model for the next prompt; null if none. */
  model = $state<string | null>(null);
  shown = $state.raw<Compared | null>(null);

  /** Starts a comparison if a second model is set. */
  start(conversationId: string, question: string): void {
    if (this.model === null) return;
    this.shown = { conversationId, model: this.model, first: null, question };
    this.model = null;
  }
}
