import type { MessageView } from '../rows.ts';

/** Two answers to one question that are shown beside each other: the second is asked for as soon as the first has begun. */
export interface Compared {
  readonly conversationId: string;
  /** Who answers second. */
  readonly model: string;
  /** The answer that is there; null: the one to `question`. */
  readonly first: MessageView | null;
  /** One’s own message, by what it was sent as. */
  readonly question: string | null;
}

/** Which question two models answer. */
export class ComparisonStore {
  /** Who answers one’s next question as well; null: nobody. */
  model = $state<string | null>(null);
  shown = $state.raw<Compared | null>(null);

  /** A question was asked: where somebody else is to answer it as well, both answers are shown. */
  start(conversationId: string, question: string): void {
    if (this.model === null) return;
    this.shown = { conversationId, model: this.model, first: null, question };
    this.model = null;
  }
}
