import type { App } from '#lib/app/app.ts';
import type { ConversationContext } from '../context.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import { attemptAction } from '../logic/attempt-action.ts';
import type { Compared } from '../logic/comparing.svelte.ts';
import type { SecondAnswer } from '../logic/second-answer.svelte.ts';
import type { MessageView } from '../rows.ts';

/** Purpose for which the model picker is open. */
export interface Choosing {
  /** Answer that is requested again from the chosen model; null if the model is chosen for later questions. */
  readonly answer: MessageView | null;
  /** Whether both answers are shown side by side. Without `answer`, those to the next question are. */
  readonly isComparing?: boolean;
}

/** Model of a chat with an assistant, and the comparison of answers of two models. */
export class ModelSelectionStore {
  /** Purpose for which the model picker is open; null if it is closed. */
  choosing = $state.raw<Choosing | null>(null);

  readonly #app: App;
  readonly #chat: ConversationContext;
  readonly #view: ConversationView;

  /** Model that answers the next question; null for the default of the installation. */
  readonly current = $derived.by(() => this.#view.conversation?.model ?? this.#view.assistant?.model ?? null);
  readonly canChoose = $derived.by(() => {
    const { assistant } = this.#view;
    return assistant !== undefined && assistant.model_choice !== false;
  });

  constructor(app: App, chat: ConversationContext, view: ConversationView) {
    this.#app = app;
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

  cancelCompareNext(): void {
    this.#chat.comparing.model = null;
  }

  stopComparison(): void {
    if (this.comparing) this.#chat.comparing.shown = null;
  }

  /** Requests an answer of another model to show it beside an existing one. */
  async compare(id: string, model: string, second: SecondAnswer): Promise<boolean> {
    return attemptAction(async () => {
      second.start(await this.#view.log.requests.compare(id, model));
    });
  }

  /** Applies events to a second answer; returns a function that ends this. */
  follow(second: SecondAnswer): () => void {
    return this.#app.connection.on((frame) => second.handleFrame(frame));
  }

  /** Applies the chosen model to the purpose for which the picker was opened. */
  async choose(model: string): Promise<void> {
    const { choosing } = this;
    const { actions, assistant, pending, id, navigation } = this.#view;
    this.choosing = null;
    if (choosing?.answer?.id) {
      const { answer, isComparing } = choosing;
      if (isComparing) this.#chat.comparing.shown = { conversationId: id, model, first: answer, question: null };
      else await actions.regenerate(choosing.answer.id, model);
      return;
    }
    if (choosing?.isComparing) {
      this.#chat.comparing.model = model;
      navigation.focus();
      return;
    }
    // The assistant's own model is stored as an empty choice, so that the chat follows when the assistant gets another model.
    const chosen = model === assistant?.model ? '' : model;
    if (pending) pending.choose(chosen || null);
    else await attemptAction(() => this.#app.conversations.update(id, { model: chosen }));
    navigation.focus();
  }
}
