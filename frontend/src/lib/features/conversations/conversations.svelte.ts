import { ApiError, type Api } from '#lib/api/client.ts';
import type { OwnChange, OwnSettings } from '#lib/features/channels/api.ts';
import { conversationOf, isDurable } from '#lib/realtime/frames.ts';
import type {
  ChannelMemberFrame,
  Conversation,
  ConversationChange,
  DurableFrame,
  HelloPayload,
  Id,
  Member,
  NewConversation,
  ServerFrame
} from '#lib/api/types.ts';
import { applyEvent, withMember } from './logic/conversation-change.ts';
import { settingsAfterChange, settingsToRevert } from './logic/own-change.ts';
import { PendingReads } from './logic/pending-reads.ts';
import { markedUnread, readUpTo } from './logic/read-state.ts';
import { DraftLinesStore } from './stores/draft-lines.svelte.ts';
import { MemberRequests } from './stores/member-requests.ts';
import { ResyncSchedule } from './stores/resync-schedule.ts';
import { conversationName, knowsEverybody, othersIn } from './conversation-name.ts';
import { isWaiting } from './kinds.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import { Repeatable } from '#lib/api/retryable.ts';
import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import type { PresenceStore } from '#lib/features/people/presence.svelte.ts';
import type { SessionStore } from '#lib/features/auth/session.svelte.ts';

const PAGE_SIZE = 200;
/** Number of outdated conversations above which the whole list is reloaded instead of each of them. */
const MAX_SINGLE_READS = 10;
/** Number of members up to which all members and their read positions are loaded. */
export const MAX_LOADED = 100;

/** Conversations of the account with their names, last messages and numbers of unread messages, updated by events. */
export class ConversationsStore {
  isLoaded = $state(false);
  error = $state<unknown>(null);
  #openId = $state<Id | null>(null);
  #isOpenAmongUnread = $state(false);

  readonly #items = new SvelteMap<Id, Conversation>();
  readonly drafts = new DraftLinesStore();
  readonly #api: Api;
  readonly #connection: Connection;
  readonly #session: SessionStore;
  readonly #presence: PresenceStore;
  #loading: Promise<void> | undefined;
  /** Hello frame that arrived while the list was loading, to be compared with it afterwards. */
  #pendingHello: HelloPayload | undefined;
  readonly #resync = new ResyncSchedule(
    (stale) => this.#readStale(stale),
    () => this.#loading
  );
  readonly #reads = new PendingReads();
  readonly members: MemberRequests;
  readonly #begun = new Repeatable();

  constructor(api: Api, connection: Connection, session: SessionStore, presence: PresenceStore) {
    this.#api = api;
    this.#connection = connection;
    this.#session = session;
    this.#presence = presence;
    this.members = new MemberRequests(api, (id) => this.refresh(id));
    connection.on((frame) => {
      if (frame.type === 'resync') this.#resync.add(frame.payload.conversation_ids);
      else this.#reads.change(conversationOf(frame), () => this.#apply(frame));
    });
    connection.onConnect((hello) => {
      this.#view();
      this.#handleHello(hello);
    });
  }

  get openId(): Id | null {
    return this.#openId;
  }

  get(id: Id): Conversation | undefined {
    return this.#items.get(id);
  }

  /** Conversations of a workspace that the user is a member of, most recently active first. Without a workspace, those of all of them. */
  joined(workspaceId: Id | undefined): Conversation[] {
    return [...this.#items.values()]
      .filter(({ own, workspace_id }) => own !== null && (workspaceId === undefined || workspace_id === workspaceId))
      .sort((a, b) => (a.last_activity_at < b.last_activity_at ? 1 : a.last_activity_at > b.last_activity_at ? -1 : 0));
  }

  /** Whether the open conversation is kept in the section of unread ones. It was unread when it was opened and stays there until it is left. */
  get isOpenAmongUnread(): boolean {
    return this.#isOpenAmongUnread;
  }

  /** Title of the conversation, or the names of its other members. */
  nameOf(conversation: Conversation): string {
    return conversationName(conversation, this.#session.account?.id);
  }

  /** Whether the user is in no conversations but default channels. */
  get isEmpty(): boolean {
    return this.isLoaded && [...this.#items.values()].every((conversation) => conversation.is_default);
  }

  /** Members other than the reader. */
  others(conversation: Conversation): Member[] {
    return othersIn(conversation, this.#session.account?.id);
  }

  /** Sets the id of the conversation that is shown; null if there is none. */
  open(id: Id | null): void {
    if (id === this.#openId) return;
    // A channel that the user has only previewed sends no events from now on, so its data is removed.
    if (this.#openId !== null && this.#items.get(this.#openId)?.own === null) this.#items.delete(this.#openId);
    this.#openId = id;
    this.#completeMembers();
    this.#view();
    const conversation = id === null ? undefined : this.#items.get(id);
    this.#isOpenAmongUnread = conversation !== undefined && isWaiting(conversation, Date.now());
  }

  /** Shows a read position before the server confirms it. `no` is the number of the message there. */
  showReadPosition(id: Id, seq: number, no?: number): void {
    this.#reads.change(id, () => this.#update(id, (conversation) => readUpTo(conversation, seq, no)));
  }

  /** Replaces a conversation of the list, unless `change` returns the same object. */
  #update(id: Id, change: (conversation: Conversation) => Conversation): void {
    const conversation = this.#items.get(id);
    const changed = conversation && change(conversation);
    if (changed && changed !== conversation) this.#items.set(id, changed);
  }

  /** Shows a change of the user's settings for a conversation. */
  setOwn(id: Id, change: Partial<OwnSettings>): void {
    this.#reads.change(id, () => this.#applySettings(id, change));
  }

  #applySettings(id: Id, change: Partial<OwnSettings>): void {
    this.#update(id, (conversation) =>
      conversation.own ? { ...conversation, own: { ...conversation.own, ...change } } : conversation
    );
  }

  /** Marks the whole conversation read. */
  async markRead(id: Id): Promise<void> {
    const seq = this.#items.get(id)?.last_seq;
    if (seq === undefined) return;
    await this.#api.post(`/conversations/${id}/read`, { seq });
    this.showReadPosition(id, seq);
  }

  /** Marks the messages of the conversation unread from the event `seq` on. */
  async markUnread(id: Id, seq: number): Promise<void> {
    await this.#api.post(`/conversations/${id}/unread`, { seq });
  }

  /** Reloads the list. Concurrent calls share one request. */
  load(): Promise<void> {
    this.#loading ??= this.#loadAll().finally(() => {
      this.#loading = undefined;
      const hello = this.#pendingHello;
      this.#pendingHello = undefined;
      if (hello) this.#handleHello(hello);
    });
    return this.#loading;
  }

  /** Returns a conversation from the list or the server. */
  async find(id: Id): Promise<Conversation> {
    await this.#loading;
    return this.#items.get(id) ?? (await this.refresh(id));
  }

  async refresh(id: Id): Promise<Conversation> {
    try {
      return await this.#request(id, () => this.#api.get(`/conversations/${id}`));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#items.delete(id);
      throw error;
    }
  }

  async create(conversation: NewConversation): Promise<Conversation> {
    // A retry after a lost response sends the same id, so that the conversation isn't created twice.
    const client_id = this.#begun.idOf(conversation);
    const created = await this.#api.post('/conversations', { client_id, ...conversation });
    this.#begun.done();
    this.#upsert(created);
    if (!created.members) return this.refresh(created.id);
    return created;
  }

  async update(id: Id, changes: ConversationChange): Promise<void> {
    await this.#request(id, () => this.#api.patch(`/conversations/${id}`, changes));
  }

  /** Changes the user's settings for a conversation and shows them at once. If the server rejects them, these are reverted, but not later changes. */
  async changeSettings(id: Id, change: OwnChange): Promise<void> {
    const before = this.#items.get(id)?.own;
    const made = settingsAfterChange(change);
    this.setOwn(id, made);
    try {
      await this.#api.patch(`/conversations/${id}/own`, change);
    } catch (error) {
      const now = this.#items.get(id)?.own;
      if (before && now) this.setOwn(id, settingsToRevert(made, before, now));
      throw error;
    }
  }

  async leave(id: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/leave`);
    this.#items.delete(id);
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/conversations/${id}`);
    this.#items.delete(id);
  }

  reset(): void {
    this.#resync.reset();
    this.#pendingHello = undefined;
    this.#items.clear();
    this.drafts.clear();
    this.isLoaded = false;
    this.error = null;
    this.#openId = null;
  }

  async #loadAll(): Promise<void> {
    this.error = null;
    try {
      await this.#reads.run(
        null,
        () => this.#readAll(),
        (found) => {
          for (const { id, own } of [...this.#items.values()])
            if (!found.has(id) && own !== null) this.#items.delete(id);
          for (const conversation of found.values()) this.#upsert(conversation);
        }
      );
      this.isLoaded = true;
      this.#completeMembers();
    } catch (error) {
      this.error = error;
    }
  }

  async #readAll(): Promise<Map<Id, Conversation>> {
    const found = new Map<Id, Conversation>();
    for (let page = 1; ; page += 1) {
      const answer = await this.#api.get('/conversations', { page, page_size: PAGE_SIZE });
      for (const conversation of answer.items) found.set(conversation.id, conversation);
      if (answer.items.length === 0 || page * PAGE_SIZE >= answer.total) return found;
    }
  }

  #request(id: Id, request: () => Promise<Conversation>): Promise<Conversation> {
    return this.#reads.run(id, request, (conversation) => this.#upsert(conversation));
  }

  /** Loads all members of the open group, unless it is large. */
  #completeMembers(): void {
    const conversation = this.#openId === null ? undefined : this.#items.get(this.#openId);
    if (!conversation?.members || conversation.member_count > MAX_LOADED || knowsEverybody(conversation)) return;
    // Tried again when the conversation is opened next.
    this.#readMembers(conversation).catch(() => undefined);
  }

  async #readMembers({ id, members }: Conversation): Promise<void> {
    const { items } = await this.#api.get(`/conversations/${id}/members`, { page_size: MAX_LOADED });
    this.#presence.add(items);
    const now = this.#items.get(id);
    // Starts again if the members have changed during the request.
    if (now && now.members !== members) this.#completeMembers();
    else if (now) this.#items.set(id, { ...now, members: items });
  }

  #upsert(conversation: Conversation): void {
    this.#presence.add(conversation.members ?? []);
    const known = this.#items.get(conversation.id);
    // An event was applied after this response was created: its data is kept.
    if (known && known.last_seq > conversation.last_seq) {
      this.#items.set(conversation.id, { ...conversation, ...known, members: conversation.members ?? known.members });
      return;
    }
    // The conversation was opened by a link before the list was loaded.
    if (!known && conversation.id === this.#openId) this.#isOpenAmongUnread = isWaiting(conversation, Date.now());
    const hasAll = known && knowsEverybody(known) && known.member_count === conversation.member_count;
    const members = hasAll && !knowsEverybody(conversation) ? known.members : (conversation.members ?? known?.members);
    this.#items.set(conversation.id, { ...conversation, members });
    if (conversation.id === this.#openId) this.#completeMembers();
  }

  /** Handles the hello frame, which contains the last sequence number of each conversation. */
  #handleHello(hello: HelloPayload): void {
    // The list in progress may be older than the hello frame, so they are compared when it has loaded.
    if (this.#loading) this.#pendingHello = hello;
    // After an absence the whole list is reloaded, because reading on another device doesn't change sequence numbers.
    else if (this.isLoaded && this.#connection.wasAway) void this.load();
    else if (this.isLoaded) this.#reloadChanged(hello);
    else if (this.error !== null) void this.load();
  }

  /** Reloads the conversations that the hello frame shows to be changed, new or gone. */
  #reloadChanged(hello: HelloPayload): void {
    const named = new Set(hello.conversations.map(({ id }) => id));
    const changed = hello.conversations.filter(({ id, last_seq }) => (this.#items.get(id)?.last_seq ?? -1) < last_seq);
    const missing = [...this.#items.values()]
      .filter(({ id, own }) => own !== null && !named.has(id))
      .map(({ id }) => id);
    this.#readStale(new Set([...changed.map(({ id }) => id), ...missing]));
  }

  #apply(frame: ServerFrame): void {
    if (isDurable(frame)) {
      this.#change(frame);
      return;
    }
    switch (frame.type) {
      case 'conversation.created':
        this.#fetchQuietly(frame.payload.conversation_id);
        return;
      case 'receipt':
        if (frame.payload.user_id !== this.#session.account?.id) return;
        this.#update(frame.payload.conversation_id, (conversation) => readUpTo(conversation, frame.payload.read_seq));
        return;
      case 'conversation.unread':
        this.#update(frame.payload.conversation_id, (conversation) => markedUnread(conversation, frame.payload));
        return;
      case 'conversation.own':
        this.#applySettings(frame.payload.conversation_id, frame.payload.own);
        return;
      case 'conversation.count': {
        const { conversation_id, member_count } = frame.payload;
        this.#update(conversation_id, (conversation) => ({ ...conversation, member_count }));
        return;
      }
      case 'user.changed':
        for (const id of [...this.#items.keys()]) this.#update(id, (one) => renameUser(one, frame.payload));
        return;
      case 'member.added':
      case 'member.updated':
      case 'member.removed':
        this.#applyMemberFrame(frame);
    }
  }

  /** Applies a change of membership in a channel, which has no sequence number. */
  #applyMemberFrame(frame: ChannelMemberFrame): void {
    const { conversation_id: id } = frame.payload;
    const conversation = this.#items.get(id);
    const me = this.#session.account?.id;
    const userId = frame.type === 'member.removed' ? frame.payload.user_id : frame.payload.member.user_id;
    if (userId === me && (frame.type === 'member.removed' || !conversation?.own)) {
      // The user was added to a channel, which must appear, or removed from the open one, which may still be readable.
      if (frame.type !== 'member.removed' || id === this.#openId) this.#fetchQuietly(id);
      else this.#items.delete(id);
    } else if (conversation) this.#items.set(id, { ...conversation, ...withMember(frame, conversation, me) });
  }

  /** Applies an event of a conversation's log, unless that was applied before. */
  #change(frame: DurableFrame): void {
    const { conversation_id: id, seq } = frame.payload;
    const conversation = this.#items.get(id);
    if (!conversation) {
      if (this.isLoaded && frame.type !== 'conversation.deleted') this.#fetchQuietly(id);
      return;
    }
    if (seq <= conversation.last_seq) return;
    const change = applyEvent(frame, conversation, this.#session.account?.id);
    if (change === 'gone') {
      this.#items.delete(id);
      return;
    }
    this.#items.set(id, change.conversation);
    if (change.isUnsure) this.#fetchQuietly(id);
  }

  #readStale(stale: ReadonlySet<Id> | 'all'): void {
    if (stale === 'all' || stale.size > MAX_SINGLE_READS) void this.load();
    else for (const id of stale) this.#fetchQuietly(id);
  }

  /** Reports which conversation is open. The server sends ephemeral events of a large conversation only to connections that show it. */
  #view(): void {
    const open = this.#openId === null ? [] : [this.#openId];
    this.#connection.notify('view', { conversation_ids: open });
  }

  #fetchQuietly(id: Id): void {
    // The user can't see the conversation or is offline: the next hello frame or event tries again.
    this.refresh(id).catch(() => undefined);
  }
}
