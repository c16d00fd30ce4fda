import type { App } from '#lib/app/app.ts';
import type { ConversationContext } from '../context.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import { attemptAction } from '../logic/attempt-action.ts';
import type { Compared } from '../logic/comparing.svelte.ts';
import type { SecondAnswer } from '../logic/second-answer.svelte.ts';
import type { MessageView } from '../rows.ts';

/** Purpose of an open model picker. */
export interface Choosing {
  /** Answer that the model is to give again; null: the model is for the messages to come. */
  readonly answer: MessageView | null;
  /** Whether both answers are shown side by side; without an answer, those to the next question. */
  readonly isComparing?: boolean;
}

/** Model of a chat with an assistant, and comparison of the answers of two models. */
export class ModelSelectionStore {
  /** Purpose of the model picker while it is open. */
  choosing = $state.raw<Choosing | null>(null);

  readonly #app: App;
  readonly #chat: ConversationContext;
  readonly #view: ConversationView;

  /** Model that answers the next question; null: the default of the installation. */
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

  /** Answers that are shown side by side. */
  get comparing(): Compared | null {
    const { shown } = this.#chat.comparing;
    return this.#view.root === null && shown?.conversationId === this.#view.id ? shown : null;
  }

  /** Model that answers the next question as well. */
  get compareNext(): string | null {
    return this.canChoose ? this.#chat.comparing.model : null;
  }

  cancelCompareNext(): void {
    this.#chat.comparing.model = null;
  }

  stopComparison(): void {
    if (this.comparing) this.#chat.comparing.shown = null;
  }

  /** Requests an answer of another model beside an existing answer. */
  async compare(id: string, model: string, second: SecondAnswer): Promise<boolean> {
    return attemptAction(async () => {
      second.start(await this.#view.log.requests.compare(id, model));
    });
  }

  /** Streams frames into a second answer. Returns a function that ends that. */
  follow(second: SecondAnswer): () => void {
    return this.#app.connection.on((frame) => second.handleFrame(frame));
  }

  /** Applies the picked model to what the picker was opened for. */
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
    // The assistant's own model is stored as no choice, so that the chat follows when the assistant changes.
    const chosen = model === assistant?.model ? '' : model;
    if (pending) pending.choose(chosen || null);
    else await attemptAction(() => this.#app.conversations.update(id, { model: chosen }));
    navigation.focus();
  }
}
