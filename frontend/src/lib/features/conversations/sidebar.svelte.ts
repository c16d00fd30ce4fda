import { isAssistantChat, isChannel, isWaiting, mentionsIn } from './kinds.ts';
import type { Section } from '#lib/features/channels/api.ts';
import type { Conversation, Id } from '#lib/api/types.ts';
import type { ConversationsStore } from './conversations.svelte.ts';
import type { SectionsStore } from './sections.svelte.ts';

const FOLDED = 'natter.folded';
const UNREAD_ONLY = 'natter.unread-only';
/** Longest delay that browsers allow for a timer, in milliseconds. */
const MAX_WAIT = 2 ** 31 - 1;

/** Sections of conversations that the user has not moved into a section: channels, direct messages with groups, and chats with assistants. */
const DEFAULT_SECTIONS = ['channels', 'direct', 'chats'] as const;
export type DefaultSection = (typeof DEFAULT_SECTIONS)[number];

/** Section of the sidebar with its conversations. */
export interface SidebarPart {
  key: 'unread' | 'pinned' | Id | DefaultSection;
  section: Section | null;
  items: Conversation[];
  /** Conversations that are rendered: in a folded section only the open one. */
  shown: Conversation[];
  isFolded: boolean;
}

/** Sections of the sidebar in order: unread, pinned, the user's own sections, channels, direct messages, and chats with assistants. */
export class SidebarStore {
  readonly #conversations: ConversationsStore;
  readonly #sections: SectionsStore;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;
  #folded = $state.raw<readonly string[]>([]);
  #now = $state(Date.now());
  #isUnreadOnly = $state(false);
  /** Whether chats with assistants are being selected, in place of the sections. */
  isSelecting = $state(false);

  constructor(
    conversations: ConversationsStore,
    sections: SectionsStore,
    storage?: Pick<Storage, 'getItem' | 'setItem'>
  ) {
    this.#conversations = conversations;
    this.#sections = sections;
    this.#storage = storage;
    this.#folded = storage?.getItem(FOLDED)?.split(' ') ?? [];
    this.#isUnreadOnly = storage?.getItem(UNREAD_ONLY) === 'true';
  }

  /** Time at which mutes are evaluated, in milliseconds since 1970. */
  get now(): number {
    return this.#now;
  }

  /** Whether the sidebar lists only unread conversations and the open one. */
  get isUnreadOnly(): boolean {
    return this.#isUnreadOnly;
  }

  showUnreadOnly(isOn: boolean): void {
    this.#isUnreadOnly = isOn;
    this.#storage?.setItem(UNREAD_ONLY, String(isOn));
  }

  parts(workspaceId: Id | undefined): SidebarPart[] {
    if (!this.#isUnreadOnly) return this.#allParts(workspaceId);
    const items = this.#conversations
      .joined(workspaceId)
      .filter((conversation) => this.#isListed(conversation))
      .filter((conversation) => this.#isAmongUnread(conversation) || conversation.id === this.#conversations.openId);
    return items.length > 0 ? [this.#part('unread', items)] : [];
  }

  #allParts(workspaceId: Id | undefined): SidebarPart[] {
    const all = this.#conversations.joined(workspaceId).filter((conversation) => this.#isListed(conversation));
    const unread: Conversation[] = [];
    const pinned: Conversation[] = [];
    const others: Record<DefaultSection, Conversation[]> = { channels: [], direct: [], chats: [] };
    const sections = new Map<Id, Conversation[]>(this.#sections.items.map(({ id }) => [id, []]));
    const used = new Set<Id>();
    for (const conversation of all) {
      const { section_id } = conversation.own ?? {};
      if (section_id) used.add(section_id);
      if (this.#isAmongUnread(conversation)) unread.push(conversation);
      else if (conversation.own?.pinned) pinned.push(conversation);
      else (sections.get(section_id ?? '') ?? others[defaultSectionOf(conversation)]).push(conversation);
    }
    const parts = [this.#part('unread', unread), this.#part('pinned', pinned)].filter(({ items }) => items.length > 0);
    const isUsedElsewhere = (id: Id) =>
      this.#conversations.joined(undefined).some(({ own }) => own?.section_id === id) && !used.has(id);
    for (const section of this.#sections.items) {
      // A section that has conversations only in other workspaces is hidden in this one.
      if (!isUsedElsewhere(section.id)) parts.push(this.#part(section.id, sections.get(section.id) ?? [], section));
    }
    return [...parts, ...DEFAULT_SECTIONS.map((key) => this.#part(key, others[key]))];
  }

  /** Conversations in the order of the sidebar. */
  order(workspaceId: Id | undefined): Conversation[] {
    return this.parts(workspaceId).flatMap(({ shown }) => shown);
  }

  /** Unread conversations and the open one, in the order of the sidebar. */
  unreadOrder(workspaceId: Id | undefined): Conversation[] {
    const { openId } = this.#conversations;
    return this.order(workspaceId).filter((one) => one.id === openId || isWaiting(one, this.#now));
  }

  /** Number of unread messages for the page title and badges. A muted conversation counts only its mentions of the user. */
  waitingIn(workspaceId?: Id): number {
    let count = 0;
    for (const conversation of this.#conversations.joined(workspaceId)) {
      if (conversation.archived_at || !isWaiting(conversation, this.#now)) continue;
      count += conversation.unread || mentionsIn(conversation);
    }
    return count;
  }

  /** Whether a conversation other than the open one counts as unread. */
  get isWaitingElsewhere(): boolean {
    return this.#conversations
      .joined(undefined)
      .some((one) => one.id !== this.#conversations.openId && !one.archived_at && isWaiting(one, this.#now));
  }

  /** Chats with assistants, most recently active first, in whichever section they are. */
  chats(workspaceId: Id | undefined): Conversation[] {
    return this.#conversations.joined(workspaceId).filter((chat) => isAssistantChat(chat) && !chat.archived_at);
  }

  toggle(key: string): void {
    this.#folded = this.#folded.includes(key) ? this.#folded.filter((other) => other !== key) : [...this.#folded, key];
    this.#storage?.setItem(FOLDED, this.#folded.join(' '));
  }

  /** Starts a timer for the end of the next mute, which changes what counts as unread. Called in an effect; returns its clean-up. */
  watchMutes(): () => void {
    const after = this.#now;
    const ends = this.#conversations
      .joined(undefined)
      .map(({ own }) => (own?.muted_until ? Date.parse(own.muted_until) : 0))
      .filter((end) => end > after);
    if (ends.length === 0) return () => undefined;
    const wait = Math.min(Math.max(0, Math.min(...ends) - Date.now()) + 50, MAX_WAIT);
    const timer = setTimeout(() => (this.#now = Date.now()), wait);
    return () => clearTimeout(timer);
  }

  /** Whether the conversation is listed. An archived one is only while it is open. */
  #isListed({ id, archived_at }: Conversation): boolean {
    return !archived_at || id === this.#conversations.openId;
  }

  /** Whether the conversation belongs to the unread ones. Reading the open conversation doesn't move it to another section. */
  #isAmongUnread(conversation: Conversation): boolean {
    return conversation.id === this.#conversations.openId
      ? this.#conversations.isOpenAmongUnread
      : isWaiting(conversation, this.#now);
  }

  #part(key: SidebarPart['key'], items: Conversation[], section: Section | null = null): SidebarPart {
    const isFolded = this.#folded.includes(key);
    const shown = isFolded ? items.filter(({ id }) => id === this.#conversations.openId) : items;
    return { key, section, items, shown, isFolded };
  }
}

function defaultSectionOf(conversation: Conversation): DefaultSection {
  if (isChannel(conversation)) return 'channels';
  return isAssistantChat(conversation) ? 'chats' : 'direct';
}
