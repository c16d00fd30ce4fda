import type { ConversationContext } from '../context.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import type { Compared } from '../logic/comparing.svelte.ts';
import type { MessageView } from '../rows.ts';

/** Purpose for which the model picker is open. */
export interface Choosing {
  /** Answer that is requested again from the chosen model; null if the model is chosen for later questions. */
  readonly answer: MessageView | null;
  /** Whether both answers are shown side by side. Without `answer`, those to the next question are. */
  readonly isComparing?: boolean;
  /** Element at which the picker opens. */
  readonly anchor: Element | null;
}

/** Model of a chat with an assistant, and the comparison of answers of two models. */
export class ModelSelectionStore {
  /** Purpose for which the model picker is open; null if it is closed. */
  choosing = $state.raw<Choosing | null>(null);

  readonly #chat: ConversationContext;
  readonly #view: ConversationView;

  /** Model that answers the next question; null for the default of the installation. */
  readonly current = $derived.by(() => this.#view.conversation?.model ?? this.#view.assistant?.model ?? null);
  readonly canChoose = $derived.by(() => {
    const { assistant } = this.#view;
    return assistant !== undefined && assistant.model_choice !== false;
  });

  constructor(chat: ConversationContext, view: ConversationView) {
    this.#chat = chat;
    this.#view = view;
  }

  /** Answers that are shown side by side; null if there are none. */
  get comparing(): Compared | null {
    const { shown } = this.#chat.comparing;
    return this.#view.root === null && shown?.conversationId === this.#view.id ? shown : null;
  }

  /** Second model that answers the next question as well; null if there is none. */
  get compareNext(): string | null {
    return this.canChoose ? this.#chat.comparing.model : null;
  }

  /** Opens the model picker, or closes it if the same button has opened it. */
  toggleChoice(choosing: Choosing): void {
    this.choosing = this.choosing?.anchor === choosing.anchor ? null : choosing;
  }

  cancelCompareNext(): void {
    this.#chat.comparing.model = null;
  }

  stopComparison(): void {
    if (this.comparing) this.#chat.comparing.shown = null;
  }
}
