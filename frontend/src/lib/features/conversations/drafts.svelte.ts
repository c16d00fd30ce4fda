import { SvelteMap } from 'svelte/reactivity';
import type { Name } from './mentions.ts';

export type DraftStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

const PREFIX = 'natter.draft.';
const WITHOUT_PREVIEWS_PREFIX = 'natter.bare.';
/** Key of the draft of a first question, whose conversation doesn't exist yet. */
export const FIRST_QUESTION = 'new';
export const EDIT = 'natter.edit.';
const REPLY = 'natter.reply.';
const MEANT = 'natter.meant.';
/** Length in UTF-16 units from which a draft is stored at intervals instead of at each change, because writing it takes long. */
const LONG = 4_000;
const REST = 400;

/** Drafts by conversation or thread, stored in this browser for each account. */
export class DraftsStore {
  readonly #texts = new SvelteMap<string, string>();
  /** Keys of the drafts whose links will have no previews. */
  readonly #withoutPreviews = new SvelteMap<string, true>();
  /** Ids of the messages that the drafts reply to. */
  readonly #replies = new Map<string, string>();
  /** Mentions that the user has picked from suggestions; a name alone may be ambiguous. */
  readonly #pickedMentions = new Map<string, readonly Name[]>();
  readonly #storage: DraftStorage | undefined;
  /** Delayed writes of long drafts, by storage key. */
  readonly #waiting = new Map<
    string,
    { readonly timer: ReturnType<typeof setTimeout>; readonly persist: () => void }
  >();
  #prefix = PREFIX;
  #withoutPreviewsPrefix = WITHOUT_PREVIEWS_PREFIX;
  #editPrefix = EDIT;
  #replyPrefix = REPLY;
  #meantPrefix = MEANT;
  /** Called when a draft has changed on this device. */
  onwritten: ((key: string) => void) | undefined;
  /** Last draft that was taken over from another device; null after it was changed here. */
  adopted = $state.raw<{ readonly key: string; readonly text: string } | null>(null);

  constructor(storage: DraftStorage | undefined) {
    this.#storage = storage;
  }

  open(userId: string): void {
    this.close();
    this.#prefix = `${PREFIX}${userId}.`;
    this.#withoutPreviewsPrefix = `${WITHOUT_PREVIEWS_PREFIX}${userId}.`;
    this.#editPrefix = `${EDIT}${userId}.`;
    this.#replyPrefix = `${REPLY}${userId}.`;
    this.#meantPrefix = `${MEANT}${userId}.`;
    for (let index = 0; index < (this.#storage?.length ?? 0); index++) {
      const key = this.#storage?.key(index);
      if (key?.startsWith(this.#withoutPreviewsPrefix))
        this.#withoutPreviews.set(key.slice(this.#withoutPreviewsPrefix.length), true);
      const reply = key?.startsWith(this.#replyPrefix) ? this.#storage?.getItem(key) : null;
      if (key && reply) this.#replies.set(key.slice(this.#replyPrefix.length), reply);
      const names = key?.startsWith(this.#meantPrefix) ? namesIn(this.#storage?.getItem(key)) : [];
      if (key && names.length > 0) this.#pickedMentions.set(key.slice(this.#meantPrefix.length), names);
      const text = key?.startsWith(this.#prefix) ? this.#storage?.getItem(key) : null;
      if (key && text) this.#texts.set(key.slice(this.#prefix.length), text);
    }
  }

  close(): void {
    this.flush();
    this.#texts.clear();
    this.#withoutPreviews.clear();
    this.#replies.clear();
    this.#pickedMentions.clear();
  }

  /** Stores drafts whose write was delayed. Called before the page goes away. */
  flush(): void {
    for (const { timer, persist } of [...this.#waiting.values()]) {
      clearTimeout(timer);
      persist();
    }
  }

  /** Texts of all drafts. */
  all(): ReadonlyMap<string, string> {
    return this.#texts;
  }

  get(conversationId: string): string {
    return this.#texts.get(conversationId) ?? '';
  }

  set(conversationId: string, text: string): void {
    this.#setText(conversationId, text);
    // The user has continued the draft here.
    if (this.adopted?.key === conversationId) this.adopted = null;
    this.onwritten?.(conversationId);
  }

  hasNoPreviews(conversationId: string): boolean {
    return this.#withoutPreviews.has(conversationId);
  }

  /** Chooses whether the links of a draft will have previews. The choice ends with the draft. */
  setNoPreviews(conversationId: string, isBare: boolean): void {
    if (isBare) this.#withoutPreviews.set(conversationId, true);
    else this.#withoutPreviews.delete(conversationId);
    this.#persist(this.#withoutPreviewsPrefix + conversationId, isBare ? 'true' : null);
  }

  /** Id of the message that the draft replies to; null if there is none. */
  replyOf(conversationId: string): string | null {
    return this.#replies.get(conversationId) ?? null;
  }

  setReply(conversationId: string, messageId: string | null): void {
    if (messageId === this.replyOf(conversationId)) return;
    this.#setReply(conversationId, messageId);
    // The reply is uploaded with the text, so there is nothing to upload without one.
    if (this.get(conversationId) !== '') this.onwritten?.(conversationId);
  }

  #setReply(conversationId: string, messageId: string | null): void {
    if (messageId === null) this.#replies.delete(conversationId);
    else this.#replies.set(conversationId, messageId);
    this.#persist(this.#replyPrefix + conversationId, messageId);
  }

  /** Mentions that the user has picked, latest last. They end with the draft. */
  pickedMentions(conversationId: string): readonly Name[] {
    return this.#pickedMentions.get(conversationId) ?? [];
  }

  addPickedMention(conversationId: string, { id, name, kind }: Name): void {
    if (!id) return;
    const others = this.pickedMentions(conversationId).filter((one) => one.id !== id);
    this.#setMentions(conversationId, [...others, { id, name, kind }]);
  }

  #setMentions(conversationId: string, names: readonly Name[]): void {
    if (names.length > 0) this.#pickedMentions.set(conversationId, names);
    else this.#pickedMentions.delete(conversationId);
    this.#persist(this.#meantPrefix + conversationId, names.length > 0 ? JSON.stringify(names) : null);
  }

  /** Unsaved edit of one of the user's messages; null if there is none. */
  editOf(messageId: string): string | null {
    return this.#storage?.getItem(this.#editPrefix + messageId) ?? null;
  }

  /** Stores an unsaved edit; null removes it after it was saved or discarded. */
  setEdit(messageId: string, text: string | null): void {
    this.#persist(this.#editPrefix + messageId, text);
  }

  /** Takes over a draft that was changed on another device. */
  adopt(conversationId: string, text: string, replyTo: string | null): void {
    if (this.get(conversationId) === text && this.replyOf(conversationId) === replyTo) return;
    this.#setText(conversationId, text);
    this.#setReply(conversationId, replyTo);
    this.adopted = { key: conversationId, text };
  }

  #setText(conversationId: string, text: string): void {
    const isEmpty = text.trim() === '';
    if (isEmpty) this.#texts.delete(conversationId);
    else this.#texts.set(conversationId, text);
    if (isEmpty && this.hasNoPreviews(conversationId)) this.setNoPreviews(conversationId, false);
    if (isEmpty && this.#pickedMentions.has(conversationId)) this.#setMentions(conversationId, []);
    const key = this.#prefix + conversationId;
    const persist = () => this.#persist(key, this.#texts.get(conversationId) ?? null);
    if (text.length < LONG) {
      clearTimeout(this.#waiting.get(key)?.timer);
      persist();
    } else if (!this.#waiting.has(key)) this.#waiting.set(key, { timer: setTimeout(persist, REST), persist });
  }

  #persist(key: string, text: string | null): void {
    this.#waiting.delete(key);
    try {
      if (text === null) this.#storage?.removeItem(key);
      else this.#storage?.setItem(key, text);
    } catch {
      // If storage is full or blocked, the draft is lost with the page.
    }
  }
}

/** Parses stored mentions. Data that can't be parsed is ignored. */
function namesIn(kept: string | null | undefined): Name[] {
  try {
    const names: unknown = JSON.parse(kept ?? '[]');
    return Array.isArray(names) ? names.filter(isName) : [];
  } catch {
    return [];
  }
}

function isName(kept: unknown): kept is Name {
  const { id, name, kind: who } = (kept ?? {}) as Partial<Record<keyof Name, unknown>>;
  return typeof id === 'string' && typeof name === 'string' && (who === 'person' || who === 'assistant');
}
