import type { App } from '#lib/app/app.ts';

/** Navigation from a conversation to its messages, threads and people. The message list and the composer register their functions here. */
export class ConversationNavigation {
  /** Id of the message to which the user has jumped, while it is highlighted; null otherwise. */
  found = $state<string | null>(null);
  /** Scrolls a message into view; set by the message list. */
  jump: (id: string) => void = () => undefined;
  /** Scrolls to the newest message and follows new ones; set by the message list. */
  scrollToEnd: () => void = () => undefined;
  /** Keeps the scroll position while content below it changes; set by the message list. */
  keepPosition: () => void = () => undefined;
  /** Focuses the composer; set by the composer. */
  focus: () => void = () => undefined;

  readonly #app: App;

  constructor(
    app: App,
    readonly conversationId: string,
    readonly root: string | null
  ) {
    this.#app = app;
  }

  /** Opens a thread beside the conversation, at one of its replies if that is given. */
  openThread(rootId: string, replyId: string | null = null): void {
    this.#app.shell.openThread({ conversationId: this.conversationId, rootId }, replyId);
  }

  /** Opens the card of a person at the pressed element. */
  openPerson(userId: string, anchor?: Element | null): void {
    this.#app.shell.openPerson(userId, anchor);
  }

  showAround(messageId: string): void {
    this.#app.shell.openAround(messageId);
  }

  /** Id of the message to which a panel beside the conversation has asked to scroll. */
  get target(): string | null {
    const { shell } = this.#app;
    return this.root === null ? shell.target : shell.replyTarget;
  }

  clearTarget(): void {
    const { shell } = this.#app;
    if (this.root === null) shell.target = null;
    else shell.replyTarget = null;
  }
}
