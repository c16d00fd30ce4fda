import type { App } from '#lib/app/app.ts';
import type { ToolAllowance, ToolDecision } from '#lib/api/tools.ts';
import type { BookmarksStore } from '#lib/features/bookmarks/saved.svelte.ts';
import { copyFormatted } from '#lib/ui/clipboard.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { composerTargetOf } from './composer-target.svelte.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import type { Action } from './logic/actions.ts';
import { attemptAction } from './logic/attempt-action.ts';
import { stopAnswer } from './logic/stop-answer.ts';
import { requestsOf } from './message-requests.ts';
import { perView } from './per-view.ts';
import type { MessageView } from './rows.ts';

function articleOf({ key }: MessageView): Element | null {
  return document.querySelector(`article[data-key="${CSS.escape(key)}"]`);
}

/** Actions on the messages of a conversation: those in their menus, and those on answers and tool calls. */
export class MessageActions {
  /** Bookmarks of the reader; null until they are needed. */
  saved = $state.raw<BookmarksStore | null>(null);

  readonly #app: App;
  readonly #view: ConversationView;

  constructor(view: ConversationView) {
    this.#app = view.app;
    this.#view = view;
    view.onClose(() => this.#stopReading());
  }

  /** Key of the answer that is being read aloud; null if there is none. */
  get reading(): string | null {
    return this.#view.reading;
  }

  /** Runs an action. Popovers open at `anchor`, by default at the message. */
  run(action: Action, message: MessageView, anchor: Element | null = articleOf(message)): void {
    const { dialogs, id, log, models, navigation } = this.#view;
    dialogs.close('actions');
    switch (action) {
      case 'react': {
        const { current } = dialogs;
        // The button that has opened the picker closes it.
        if (current?.kind === 'react' && current.anchor === anchor) return dialogs.close('react');
        return dialogs.open({ kind: 'react', message, anchor });
      }
      case 'reactors':
      case 'task':
      case 'report':
      case 'forward':
      case 'remind':
        return dialogs.open({ kind: action, message });
      case 'thread':
        return navigation.openThread(message.threadId ?? message.id ?? '', message.threadId && message.id);
      case 'unread':
        return void attemptAction(() => this.#app.conversations.markUnread(id, message.seq ?? 0));
      case 'save':
      case 'note':
      case 'pin':
      case 'link':
        return void import('./logic/message-marks.ts').then(
          ({ mark }) => mark(action, message, this.#app, id),
          () => toast(m.part_failed())
        );
      case 'reply':
        return composerTargetOf(this.#view).reply(message);
      case 'edit':
        return composerTargetOf(this.#view).edit(message);
      case 'copy':
        return void this.copy(message);
      case 'read':
        return void this.readAloud(message);
      case 'regenerate':
        return void this.regenerate(message.id ?? '');
      case 'regenerate_with':
        return void (models.choosing = { answer: message, anchor });
      case 'compare':
        return void (models.choosing = { answer: message, isComparing: true, anchor });
      case 'details':
        return void (dialogs.detailed = dialogs.detailed === message.key ? null : message.key);
      case 'stop':
        return void stopAnswer(this.#view, message.id ?? '');
      case 'discard':
        return log.outbox.discard(message.clientId ?? '');
      case 'delete':
        dialogs.deleting = message.key;
    }
  }

  /** Adds or removes a reaction. It is shown at once and reverted if the server rejects it. */
  async react(message_id: string, emoji: string, isAdded: boolean): Promise<boolean> {
    const { log } = this.#view;
    const path = `/messages/${message_id}/reactions/${encodeURIComponent(emoji)}` as const;
    const reacting = { message_id, emoji, user_id: this.#app.session.account?.id ?? '', isAdded };
    log.apply({ kind: 'reacting', reacting });
    const { api } = this.#app;
    const isDone = await attemptAction(() => (isAdded ? api.put(path) : api.delete(path)));
    if (!isDone) log.apply({ kind: 'not_reacting', reacting });
    return isDone;
  }

  /** Loads whether the reader has bookmarked a message, because its menu shows that. */
  async loadSavedState(id: string | null): Promise<void> {
    try {
      const { savedOf } = await import('#lib/features/bookmarks/saved.svelte.ts');
      this.saved = savedOf(this.#app);
      if (id !== null) await this.saved.loadState(id);
    } catch {
      // The next opened menu tries again.
    }
  }

  async copy({ content }: MessageView): Promise<void> {
    const text = this.#view.directory.wordsOf(content);
    const html = import('#lib/features/markdown/html.ts').then(({ toHtml }) => toHtml(text));
    toast((await copyFormatted(text, html)) ? m.chat_copied() : m.chat_copy_failed());
  }

  /** Starts reading an answer aloud, or stops it. */
  async readAloud({ key, content }: MessageView): Promise<void> {
    const isOver = this.#view.reading === key;
    this.#view.reading = isOver ? null : key;
    try {
      const { stopSpeaking, speak } = await import('./logic/speech.ts');
      if (isOver) return stopSpeaking();
      speak(content, () => {
        if (this.#view.reading === key) this.#view.reading = null;
      });
    } catch {
      this.#view.reading = null;
      toast(m.part_failed());
    }
  }

  #stopReading(): void {
    if (this.#view.reading === null) return;
    import('./logic/speech.ts').then(
      ({ stopSpeaking }) => stopSpeaking(),
      // If the module can't be loaded, it never was, so nothing is being read.
      () => undefined
    );
  }

  async delete(message: MessageView): Promise<void> {
    const { dialogs, navigation } = this.#view;
    dialogs.deleting = null;
    composerTargetOf(this.#view).release(message);
    navigation.focus();
    if (message.id) await attemptAction(() => requestsOf(this.#view).remove(message.id as string));
  }

  async showVersion(id: string, index: number): Promise<void> {
    this.#view.navigation.keepPosition();
    await attemptAction(() => requestsOf(this.#view).showVersion(id, index));
  }

  async regenerate(id: string, model?: string): Promise<boolean> {
    const isAsked = await attemptAction(() => requestsOf(this.#view).regenerate(id, model));
    if (isAsked) this.#view.navigation.scrollToEnd();
    return isAsked;
  }

  /** Whether the reader may decide about a tool call in the answer to a message of `askerId`. */
  mayDecide(askerId: string): boolean {
    return askerId === this.#app.session.account?.id;
  }

  async decide(messageId: string, callId: string, decision: ToolDecision, more?: ToolAllowance): Promise<boolean> {
    return attemptAction(() => requestsOf(this.#view).decide(messageId, callId, decision, more));
  }
}

export const messageActionsOf = perView((view) => new MessageActions(view));
