import type { ConversationContext } from './context.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import { perView } from './per-view.ts';
import type { MessageView } from './rows.ts';

type ReplyTarget = Pick<MessageView, 'id' | 'sender' | 'content' | 'attachments'>;

/** Message that the composer replies to or edits. The reply is part of the draft. */
export class ComposerTarget {
  replyTo = $state.raw<ReplyTarget | null>(null);
  editing = $state.raw<MessageView | null>(null);

  readonly #chat: ConversationContext;
  readonly #view: ConversationView;

  constructor(view: ConversationView) {
    this.#chat = view.chat;
    this.#view = view;
  }

  reply(message: MessageView): void {
    this.editing = null;
    this.setReply(message);
    this.#view.navigation.focus();
  }

  setReply(message: ReplyTarget | null): void {
    this.replyTo = message;
    this.#chat.drafts.setReply(this.#view.key, message?.id ?? null);
  }

  /** Restores the reply that is part of the draft, whether it was chosen here or on another device. */
  async restoreReply(): Promise<void> {
    const { drafts } = this.#chat;
    const { key, log } = this.#view;
    if (drafts.get(key) === '') drafts.setReply(key, null);
    const id = drafts.replyOf(key);
    if (id === (this.replyTo?.id ?? null)) return;
    this.replyTo = null;
    if (id === null) return;
    try {
      const message = await log.fetch(id);
      // The user may have replied to another message meanwhile.
      if (drafts.replyOf(key) === id) this.setReply(message);
    } catch {
      // The draft keeps the reply, which is restored when the draft is opened again.
    }
  }

  edit(message: MessageView): void {
    this.editing = message;
    this.#view.navigation.focus();
  }

  /** Edits the user's last message. Returns false if there is none. */
  editLast(): boolean {
    const last = this.#view.log.items.findLast(({ view }) => view.own && view.id !== null);
    if (last) this.edit(last.view);
    return last !== undefined;
  }

  /** Cancels the edit, or else the reply. Returns false if there was neither. */
  cancel(): boolean {
    const was = this.replyTo !== null || this.editing !== null;
    if (this.editing?.id) this.#chat.drafts.setEdit(this.editing.id, null);
    // Shows the draft from before the edit again, with its reply.
    if (this.editing) this.editing = null;
    else if (this.replyTo) this.setReply(null);
    return was;
  }

  /** Stops replying to or editing a message that is being deleted. */
  release({ key, id }: MessageView): void {
    if (this.editing?.key === key) this.cancel();
    if (id && this.replyTo?.id === id) this.setReply(null);
  }
}

export const composerTargetOf = perView((view) => new ComposerTarget(view));
