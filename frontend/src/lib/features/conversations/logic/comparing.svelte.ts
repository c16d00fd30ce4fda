import type { MessageView } from '../rows.ts';

/** Comparison of two answers. The second one is requested when the first one has started. */
export interface Compared {
  readonly conversationId: string;
  /** Model of the second answer. */
  readonly model: string;
  /** Existing answer to compare with; null for the coming answer to `question`. */
  readonly first: MessageView | null;
  /** `client_id` of the question; null if an existing answer is compared. */
  readonly question: string | null;
}

/** Comparison of the answers of two models. */
export class ComparisonStore {
  /** Model that answers the next question as well; null if there is none. */
  model = $state<string | null>(null);
  shown = $state.raw<Compared | null>(null);

  /** Starts a comparison for this question, if a second model is chosen. */
  start(conversationId: string, question: string): void {
    if (this.model === null) return;
    this.shown = { conversationId, model: this.model, first: null, question };
    this.model = null;
  }
}
