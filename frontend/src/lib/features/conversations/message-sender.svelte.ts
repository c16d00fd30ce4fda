import type { App } from '#lib/app/app.ts';
import { ApiError } from '#lib/api/client.ts';
import { Repeatable } from '#lib/api/retryable.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Placed } from '#lib/realtime/state.ts';
import type { Scheduled } from '#lib/features/scheduling/api.ts';
import type { ConversationContext } from './context.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import { isAssistantChat } from './kinds.ts';
import { composerTargetOf, type ComposerTarget } from './composer-target.svelte.ts';
import { attemptAction } from './logic/attempt-action.ts';
import { requestsOf } from './message-requests.ts';
import { perView } from './per-view.ts';
import type { MessageView } from './rows.ts';

/** Sends, schedules and edits the user's messages in a conversation. */
export class MessageSender {
  /** Whether a reply in a thread is also shown in the conversation. */
  isAlsoToConversation = $state(false);
  /** Whether slow mode forbids the next message for the moment. */
  isPaused = $state(false);

  /** Edited text that was rejected because it notifies many people. Sending the same text again confirms it. Null if there is none. */
  #unconfirmed: string | null = null;
  readonly #scheduling = new Repeatable();
  readonly #app: App;
  readonly #chat: ConversationContext;
  readonly #view: ConversationView;
  readonly #target: ComposerTarget;

  constructor(view: ConversationView) {
    this.#app = view.app;
    this.#chat = view.chat;
    this.#view = view;
    this.#target = composerTargetOf(view);
  }

  /** Sends a message. Only for the first message of a new conversation it returns a promise, which must be awaited. */
  send(content: string, files: readonly AttachedFile[] = []): Promise<void> | undefined {
    const { pending, directory, id, log, models, rights } = this.#view;
    if (pending) return pending.start(content, files);
    const placed = {
      ...(this.isAlsoToConversation && { also_to_conversation: true }),
      ...this.#previewOptions
    };
    const clientId = log.send(content, this.#target.replyTo?.id ?? null, directory.mentionsIn(content), files, placed);
    if (rights.canCompare && models.canChoose) this.#chat.comparing.start(id, clientId);
    this.#target.setReply(null);
    this.isAlsoToConversation = false;
    return undefined;
  }

  /** Replaces `@all` by `@here` in a message that the server has rejected. */
  async callHere({ clientId, content }: MessageView): Promise<void> {
    if (!clientId) return;
    const { directory, log } = this.#view;
    await attemptAction(async () => {
      const said = (await import('./composer/mention-query.ts')).withHere(content, directory.names);
      log.outbox.reword(clientId, said, directory.mentionsIn(said));
    });
  }

  get #previewOptions(): Pick<Placed, 'previews'> {
    return this.#chat.drafts.hasNoPreviews(this.#view.key) ? { previews: false } : {};
  }

  /** Schedules a message to be sent at the time `at`. */
  async schedule(content: string, attachmentIds: readonly string[], at: string): Promise<Scheduled> {
    const { directory, id, root } = this.#view;
    const { replyTo } = this.#target;
    const scheduled = await this.#app.api.post(`/conversations/${id}/messages`, {
      // The same message for another time has the same id: if it has reached the server before, it keeps the time given then.
      client_id: this.#scheduling.idOf([content, attachmentIds, replyTo?.id]),
      content,
      send_at: at,
      mentions: directory.mentionsIn(content),
      ...this.#previewOptions,
      ...(replyTo?.id && { reply_to: replyTo.id }),
      ...(attachmentIds.length > 0 && { attachment_ids: attachmentIds }),
      ...(root && { thread_id: root, also_to_conversation: this.isAlsoToConversation })
    });
    this.#scheduling.done();
    return scheduled as Scheduled;
  }

  /** Edits one of the user's messages. In a chat with an assistant, the new text is answered again. */
  async change(id: string, content: string): Promise<void> {
    const { conversation, navigation } = this.#view;
    if (!isAssistantChat(conversation)) return this.#saveEdit(id, content);
    await requestsOf(this.#view).editAndAskAgain(id, content);
    navigation.scrollToEnd();
  }

  async #saveEdit(id: string, content: string): Promise<void> {
    const { mentionsAfterEdit } = await import('./composer/mention-query.ts');
    const { directory, log } = this.#view;
    const before = log.find(id)?.mentions ?? [];
    const isConfirmed = this.#unconfirmed === content;
    this.#unconfirmed = null;
    try {
      const mentions = mentionsAfterEdit(content, directory.mentionableNames, before);
      await requestsOf(this.#view).edit(id, content, mentions, isConfirmed);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'confirm_mention') this.#unconfirmed = content;
      throw error;
    }
  }
}

export const senderOf = perView((view) => new MessageSender(view));
