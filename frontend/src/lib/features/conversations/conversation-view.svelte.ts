/** The open conversation: its names, what one is writing in it, and what can be done with its messages. */
import { createContext } from 'svelte';
import type { App } from '#lib/app/app.ts';
import type { Picture } from '#lib/api/assistants.ts';
import type { ToolAllowance, ToolDecision } from '#lib/api/tools.ts';
import type { Upload } from '#lib/api/files.ts';
import { ApiError } from '#lib/api/client.ts';
import type { Scheduled } from '#lib/features/scheduling/api.ts';
import { sentenceSoon } from '#lib/api/lazy-error-messages.ts';
import type { AssistantMember, Conversation, Mention, Sender } from '#lib/api/types.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { MOST_KNOWN } from './conversations.svelte.ts';
import type { ConversationLog } from './conversation-log.svelte.ts';
import type { MessageTasks } from '#lib/features/boards/message-tasks.svelte.ts';
import type { Saved } from '#lib/features/bookmarks/saved.svelte.ts';
import type { ThreadLog } from '#lib/features/threads/thread-log.svelte.ts';
import type { Action, Rights } from './logic/actions.ts';
import type { Taken } from '#lib/realtime/pending-attachments.ts';
import type { ChannelLinks } from '#lib/features/channels/channel-links.ts';
import { copyText } from '#lib/ui/clipboard.ts';
import type { Compared } from './logic/comparing.svelte.ts';
import type { Chat } from './context.ts';
import { knowsEverybody } from './conversation-name.ts';
import { closedBy, isAssistantChat, isChannel, isPersonal, mayCallAll, mayManage, type Closed } from './kinds.ts';
import { calledIn, callsMe, isCalled, type Name } from './mentions.ts';
import { setNames } from './names.ts';
import { Repeatable } from '#lib/api/retryable.ts';
import type { MessageView } from './rows.ts';
import type { SecondAnswer } from './logic/second-answer.svelte.ts';
import type { Failure, Placed } from '#lib/realtime/state.ts';

const ID_LENGTH = 36;
const EVERYBODY: readonly Name[] = [
  { name: 'all', kind: 'all' },
  { name: 'here', kind: 'here' }
];

export interface Reader {
  readonly id: string;
  readonly name: string;
}

/** A conversation that is made with its first message: until then the server knows nothing of it. */
export interface Beginning {
  readonly conversation: Conversation;
  /** Makes it, says the first thing in it, and shows it. */
  readonly begin: (content: string, files: readonly Taken[]) => Promise<void>;
  /** Another model than the assistant's own; null for that one. */
  readonly choose: (model: string | null) => void;
  /** What its assistant is for. */
  readonly purpose: string;
  /** First questions that its assistant offers. */
  readonly starters: readonly string[];
  /** Why what was asked before was not taken. */
  readonly refusal: Failure | null;
}

/** A poll that was not asked yet, as its dialog has it. */
export interface PollDraft {
  readonly question: string;
  readonly options: readonly string[];
  readonly multiple: boolean;
  readonly anonymous: boolean;
  readonly end: string;
}

/** An answer that another model is to give again; null: the model of this conversation. */
export interface Choosing {
  readonly answer: MessageView | null;
  /** Both answers are shown beside each other then; without an answer, those to the next question. */
  readonly isComparing?: boolean;
}

/** A picture, with who has sent it and when. */
export interface Pictured extends Upload {
  readonly by: string;
  readonly time: number;
}

/** Pictures that are looked at one after another. */
export interface Viewing {
  readonly pictures: readonly Pictured[];
  readonly at: number;
}

/** What one is about to answer. */
type Answered = Pick<MessageView, 'id' | 'sender' | 'content' | 'attachments'>;

const [usePane, providePane] = createContext<Pane>();
export { usePane };

/** Texts within it may call its people, and name channels. */
export function setPane(pane: Pane): Pane {
  setNames(() => pane.named);
  return providePane(pane);
}

export class Pane {
  replyTo = $state.raw<Answered | null>(null);
  editing = $state.raw<MessageView | null>(null);
  /** The message whose deletion is being confirmed, by its key. */
  deleting = $state<string | null>(null);
  /** The message whose actions are shown on a phone. */
  held = $state.raw<MessageView | null>(null);
  /** The answer that is being read aloud, by its key. */
  reading = $state<string | null>(null);
  /** The message that was jumped to, by its id. */
  found = $state<string | null>(null);
  /** The answer whose details are shown, by its key. */
  detailed = $state<string | null>(null);
  /** The message for which an emoji is picked. */
  reacting = $state.raw<MessageView | null>(null);
  /** The message whose further actions are shown, by its key. */
  more = $state<string | null>(null);
  /** The message of which it is shown who reacted. */
  reacted = $state.raw<MessageView | null>(null);
  /** The message of which the reader is to be reminded. */
  reminding = $state.raw<MessageView | null>(null);
  /** The message that is being passed on. */
  forwarding = $state.raw<MessageView | null>(null);
  /** Which messages the reader keeps, once that is asked for. */
  saved = $state.raw<Saved | null>(null);
  /** The message that is being reported. */
  reporting = $state.raw<MessageView | null>(null);
  /** The message that becomes a task. */
  tasking = $state.raw<MessageView | null>(null);
  /** The poll that is being made. */
  polling = $state.raw<{ readonly question: string } | null>(null);
  /** What was typed into the dialog for a poll that was closed by mistake. */
  pollDraft: PollDraft | null = null;
  /** A reply in a thread is to be shown in the main line, too. */
  isAlsoTold = $state(false);
  /** One has to wait before one may write again. */
  isPaused = $state(false);
  /** The pictures that are looked at, and which of them. */
  viewing = $state.raw<Viewing | null>(null);
  /** What a model is being chosen for: another answer, or what comes next. */
  choosing = $state.raw<Choosing | null>(null);
  /** Set by the list: brings a message into view. */
  jump: (id: string) => void = () => undefined;
  /** Set by the list: follows what is said from here on. */
  goToEnd: () => void = () => undefined;
  /** Set by the list: stays where it is, whatever comes below. */
  stay: () => void = () => undefined;
  /** Set by the composer: puts the caret into it. */
  focus: () => void = () => undefined;

  /** The emoji of a workspace’s own, once what knows them is there. */
  emojiIn = $state.raw<((workspaceId: string) => readonly Name[]) | null>(null);

  /** Links the channels that one’s words name, once what does it is there. */
  channels: ChannelLinks | null = null;

  /** Which tasks messages became, once what knows them is there. */
  tasks = $state.raw<MessageTasks | null>(null);

  /** What ends with it; null: it was closed. */
  #closing: (() => void)[] | null = [];

  readonly #scheduling = new Repeatable();
  readonly log: ConversationLog;
  /** The message whose thread this is; null in a main line. */
  readonly root: string | null;
  /** Under which drafts and files that were begun here are kept. */
  readonly key: string;
  readonly #app: App;
  readonly #chat: Chat;

  readonly conversation = $derived.by<Conversation | undefined>(
    () => this.beginning?.conversation ?? this.#app.conversations.get(this.id)
  );
  readonly name = $derived.by(() => {
    const name = this.conversation && this.#app.conversations.nameOf(this.conversation);
    return name || m.chat_unnamed();
  });
  /** Whom one writes to: in a chat with an assistant the assistant, whatever the chat is called. */
  readonly addressee = $derived.by(() => {
    return (isAssistantChat(this.conversation) && this.conversation?.assistants?.[0]?.name) || this.name;
  });
  /** With whom alone one talks here. */
  readonly assistant = $derived.by<AssistantMember | undefined>(() =>
    isAssistantChat(this.conversation) ? this.conversation?.assistants?.[0] : undefined
  );
  /** The model that answers what is asked next; null: the installation's default. */
  readonly model = $derived.by(() => this.conversation?.model ?? this.assistant?.model ?? null);
  readonly canChooseModel = $derived.by(() => this.assistant !== undefined && this.assistant.model_choice !== false);
  readonly others = $derived.by<readonly Reader[]>(() =>
    this.conversation
      ? this.#app.conversations
          .others(this.conversation)
          .map(({ user_id, display_name }) => ({ id: user_id, name: display_name }))
      : []
  );
  /** All its people are in `others`; of a large conversation only the first are. */
  readonly knowsEverybody = $derived.by(() => this.conversation !== undefined && knowsEverybody(this.conversation));
  /** Those of a large conversation who have been heard of. */
  readonly #heardOf = $derived.by<readonly Reader[]>(() => {
    if (this.knowsEverybody) return [];
    const known = new Set([this.#app.session.account?.id, ...this.others.map(({ id }) => id)]);
    return this.#chat.people.in(this.id).filter(({ id }) => !known.has(id));
  });
  /** Everybody who can be called here, as far as they are known. */
  readonly names = $derived.by<readonly Name[]>(() => [
    { name: this.#app.session.account?.display_name ?? '', kind: 'me' },
    ...[...this.others, ...this.#heardOf].map(({ id, name }) => ({ id, name, kind: 'person' as const })),
    ...(this.conversation?.assistants ?? []).map(({ id, name }) => ({ id, name, kind: 'assistant' as const })),
    ...this.#askable.filter(({ id }) => !this.conversation?.assistants?.some((member) => member.id === id)),
    ...(this.conversation && mayCallAll(this.conversation, this.#workspaceRole) ? EVERYBODY : [])
  ]);
  /** Changes with the channels, and not with what is said in them. */
  readonly #channelKey = $derived.by(() =>
    this.#app.conversations
      .in(this.conversation?.workspace_id)
      .filter(isChannel)
      .flatMap(({ id, title }) => (title ? [`${id}${title}`] : []))
      .sort()
      .join('\n')
  );
  /** The emoji of the workspace’s own. */
  readonly emoji = $derived.by<readonly Name[]>(
    () => (this.conversation && this.emojiIn?.(this.conversation.workspace_id)) ?? []
  );
  /** Whom, which channels and which emoji a text may name. */
  readonly named = $derived.by<readonly Name[]>(() => {
    const channels = this.#channelKey.split('\n').map((line) => ({
      id: line.slice(0, ID_LENGTH),
      name: line.slice(ID_LENGTH),
      kind: 'channel' as const
    }));
    return [...this.names, ...(this.#channelKey ? channels : []), ...this.emoji];
  });
  /** Whom one has chosen by name, the last one first: several may have the same. */
  #meant: readonly Name[] = [];
  /** The workspace's assistants that answer where they are mentioned, once somebody has begun to. */
  #askable = $state.raw<readonly Name[]>([]);
  #hasAsked = false;
  /** What one’s message was to say instead, and would notify many: it wasn’t confirmed. */
  #unconfirmed: string | null = null;
  readonly #workspaceRole = $derived.by(
    () => this.conversation && this.#app.workspaces.get(this.conversation.workspace_id)?.role
  );
  /** Why one can't write here; null where one can. */
  readonly closed = $derived.by<Closed | null>(() =>
    this.conversation && !this.beginning ? closedBy(this.conversation, this.#workspaceRole) : null
  );
  readonly rights = $derived.by<Rights>(() => {
    const { conversation } = this;
    const canDelete =
      conversation !== undefined && isChannel(conversation) && mayManage(conversation, this.#workspaceRole);
    return {
      canWrite: this.closed === null,
      canReact: !this.closed || this.closed === 'admins_only',
      hasThreads: this.root === null && !this.beginning && !isPersonal(conversation),
      canDelete,
      hasMarks: !this.beginning,
      canMarkUnread: this.root === null && !this.beginning && conversation?.own != null,
      canRead: 'speechSynthesis' in globalThis,
      canChooseModel: this.canChooseModel,
      canCompare: this.root === null && isAssistantChat(conversation)
    };
  });
  readonly isConnected = $derived.by(() => this.#app.connection.state === 'online' || this.#app.connection.ready);

  constructor(
    app: App,
    chat: Chat,
    readonly id: string,
    readonly beginning: Beginning | null = null,
    readonly thread: ThreadLog | null = null
  ) {
    this.#app = app;
    this.#chat = chat;
    this.log = thread ?? chat.messages.conversation(id);
    this.root = thread?.rootId ?? null;
    this.key = this.root === null ? id : `${id}/${this.root}`;
  }

  /** The face of an assistant: as a member has it now, else as its message says. */
  pictureOf({ id, picture }: Sender): Picture | null {
    const member = this.conversation?.assistants?.find((assistant) => assistant.id === id);
    return (member ? member.picture : picture) ?? null;
  }

  /** The answers that are shown beside each other. */
  get comparing(): Compared | null {
    const { shown } = this.#chat.comparing;
    return this.root === null && shown?.conversationId === this.id ? shown : null;
  }

  /** Who answers the next question as well. */
  get compareNext(): string | null {
    return this.canChooseModel ? this.#chat.comparing.model : null;
  }

  compareNoMore(): void {
    this.#chat.comparing.model = null;
  }

  endComparison(): void {
    if (this.comparing) this.#chat.comparing.shown = null;
  }

  /** Something stands before the conversation. */
  get hasOverlay(): boolean {
    return [
      this.viewing,
      this.reacting,
      this.reacted,
      this.held,
      this.reporting,
      this.tasking,
      this.forwarding,
      this.reminding,
      this.polling,
      this.comparing
    ].some(Boolean);
  }

  closeOverlays(): void {
    this.viewing =
      this.reacting =
      this.reacted =
      this.held =
      this.reporting =
      this.tasking =
      this.forwarding =
      this.reminding =
      this.polling =
        null;
    this.endComparison();
  }

  /** Empty while it isn't known; it is asked for then. */
  nameOf(userId: string): string {
    const member = this.conversation?.members?.find((member) => member.user_id === userId);
    return member?.display_name ?? this.#chat.people.nameOf(this.id, userId) ?? '';
  }

  /** Whether a message calls the reader. What was written by a program may do so by name only. */
  callsMe({ content, mentions, status }: MessageView): boolean {
    if (isCalled(mentions, this.#app.session.account?.id ?? null)) return true;
    // What is still being written would be read anew with every word.
    return status !== 'streaming' && callsMe(content, this.names);
  }

  /** Has the names of these people asked for, where they aren't known. */
  learnNames(userIds: readonly string[]): void {
    for (const id of userIds) if (this.nameOf(id) === '') void this.#chat.people.find(this.id, id);
  }

  /** Learns which assistants can be mentioned besides those that are members. */
  learnAssistants(): void {
    const { conversation } = this;
    if (!conversation || isPersonal(conversation) || this.#hasAsked) return;
    this.#hasAsked = true;
    this.#app.workspaces.assistants(conversation.workspace_id).then(
      (found) => {
        this.#askable = found
          .filter(({ answers_mentions }) => answers_mentions)
          .map(({ id, name, description }) => ({
            id,
            name,
            kind: 'assistant',
            ...(description && { about: description })
          }));
      },
      // Who is a member is offered all the same; the next mention asks again.
      () => (this.#hasAsked = false)
    );
  }

  findPeople(query: string, most: number): Promise<Reader[]> {
    return this.#chat.people.search(this.id, query, most);
  }

  /** Somebody was chosen by name: from now on that name is known here, and means them. */
  mean(named: Name): void {
    const { id, name, kind } = named;
    // Everybody is everybody, as long as they may be called.
    if (!id) return;
    this.#meant = [named, ...this.#meant.filter((one) => one.id !== id)];
    if (kind === 'person' && !this.others.some((other) => other.id === id))
      this.#chat.people.learn(this.id, { id, name });
  }

  /** Those who have read up to `seq`, and whether everybody has at least received it. */
  receiptOf(seq: number): { readers: Reader[]; isDelivered: boolean } {
    const { positions } = this.log;
    // Of so many, nobody is told who has read what.
    if ((this.conversation?.member_count ?? 0) > MOST_KNOWN) return { readers: [], isDelivered: false };
    const readers = this.others.filter(({ id }) => (positions.get(id)?.read ?? 0) >= seq);
    const isDelivered =
      this.knowsEverybody && this.others.every(({ id }) => (positions.get(id)?.delivered ?? 0) >= seq);
    return { readers, isDelivered };
  }

  act(action: Action, view: MessageView): void {
    this.held = null;
    switch (action) {
      case 'react':
        return void (this.reacting = view);
      case 'reactors':
        return void (this.reacted = view);
      case 'task':
        return void (this.tasking = view);
      case 'report':
        return void (this.reporting = view);
      case 'thread':
        return this.openThread(view.threadId ?? view.id ?? '', view.threadId && view.id);
      case 'forward':
        return void (this.forwarding = view);
      case 'remind':
        return void (this.reminding = view);
      case 'unread':
        return void this.#attempt(() => this.#app.conversations.markUnread(this.id, view.seq ?? 0));
      case 'save':
      case 'note':
      case 'pin':
      case 'link':
        return void import('./logic/message-actions.ts').then(
          ({ mark }) => mark(action, view, this.#app, this.id),
          () => toast(m.part_failed())
        );
      case 'reply':
        return this.reply(view);
      case 'edit':
        return this.edit(view);
      case 'copy':
        return void this.copy(view);
      case 'read':
        return void this.readAloud(view);
      case 'regenerate':
        return void this.regenerate(view.id ?? '');
      case 'regenerate_with':
        return void (this.choosing = { answer: view });
      case 'compare':
        return void (this.choosing = { answer: view, isComparing: true });
      case 'details':
        return void (this.detailed = this.detailed === view.key ? null : view.key);
      case 'stop':
        return void this.stop(view.id ?? '');
      case 'discard':
        return this.log.discard(view.clientId ?? '');
      case 'delete':
        this.deleting = view.key;
    }
  }

  /** With an emoji, or no longer: shown at once, and undone where it is refused. */
  async react(message_id: string, emoji: string, isAdded: boolean): Promise<boolean> {
    const path = `/messages/${message_id}/reactions/${encodeURIComponent(emoji)}` as const;
    const reacting = { message_id, emoji, user_id: this.#app.session.account?.id ?? '', isAdded };
    this.log.apply({ kind: 'reacting', reacting });
    const { api } = this.#app;
    const isDone = await this.#attempt(() => (isAdded ? api.put(path) : api.delete(path)));
    if (!isDone) this.log.apply({ kind: 'not_reacting', reacting });
    return isDone;
  }

  /** Learns whether the reader keeps a message: what can be done with it depends on that. */
  async learnSaved(id: string | null): Promise<void> {
    try {
      const { savedOf } = await import('#lib/features/bookmarks/saved.svelte.ts');
      this.saved = savedOf(this.#app);
      if (id !== null) await this.saved.learn(id);
    } catch {
      // Asked for with each menu that is opened: the next one brings it.
    }
  }

  /** Beside the conversation; at one of its replies, where that is named. */
  openThread(rootId: string, replyId: string | null = null): void {
    this.#app.shell.openThread({ conversationId: this.id, rootId }, replyId);
  }

  /** Who has said something, or is called. */
  openPerson(userId: string): void {
    this.#app.shell.openPerson(userId);
  }

  showAround(messageId: string): void {
    this.#app.shell.openAround(messageId);
  }

  /** The message that is to be brought into view from beside the conversation. */
  get target(): string | null {
    const { shell } = this.#app;
    return this.root === null ? shell.target : shell.replyTarget;
  }

  forgetTarget(): void {
    const { shell } = this.#app;
    if (this.root === null) shell.target = null;
    else shell.replyTarget = null;
  }

  reply(view: MessageView): void {
    this.editing = null;
    this.#answer(view);
    this.focus();
  }

  #answer(message: Answered | null): void {
    this.replyTo = message;
    this.#chat.drafts.setReply(this.key, message?.id ?? null);
  }

  /** What a draft answers is answered when one goes on with it, here or on another device. */
  async takeUpReply(): Promise<void> {
    const { drafts } = this.#chat;
    if (drafts.get(this.key) === '') drafts.setReply(this.key, null);
    const id = drafts.replyOf(this.key);
    if (id === (this.replyTo?.id ?? null)) return;
    this.replyTo = null;
    if (id === null) return;
    try {
      const message = await this.log.fetch(id);
      // One may have answered another meanwhile.
      if (drafts.replyOf(this.key) === id) this.#answer(message);
    } catch {
      // It stays with the draft, and is there when that is opened again.
    }
  }

  edit(view: MessageView): void {
    this.editing = view;
    this.focus();
  }

  /** Says something here. Only the first word of a new conversation has to be waited for. */
  send(content: string, files: readonly Taken[] = []): Promise<void> | undefined {
    if (this.beginning) return this.beginning.begin(content, files);
    const placed = {
      ...(this.isAlsoTold && { also_to_conversation: true }),
      ...this.#bare
    };
    const clientId = this.log.send(content, this.replyTo?.id ?? null, this.#calledIn(content), files, placed);
    if (this.rights.canCompare && this.canChooseModel) this.#chat.comparing.ask(this.id, clientId);
    this.#answer(null);
    this.isAlsoTold = false;
    return undefined;
  }

  /** A message that was to notify everybody notifies those who are online. */
  async callHere({ clientId, content }: MessageView): Promise<void> {
    if (!clientId) return;
    await this.#attempt(async () => {
      const said = (await import('./composer/naming.ts')).withHere(content, this.names);
      this.log.reword(clientId, said, this.#calledIn(said));
    });
  }

  get #bare(): Pick<Placed, 'previews'> {
    return this.#chat.drafts.isBare(this.key) ? { previews: false } : {};
  }

  get #callable(): readonly Name[] {
    return [...this.#meant, ...this.names];
  }

  #calledIn(content: string): Mention[] {
    return calledIn(content, this.#callable);
  }

  /** Has something said here later. */
  async schedule(content: string, attachmentIds: readonly string[], at: string): Promise<Scheduled> {
    const mentions = this.#calledIn(content);
    const scheduled = await this.#app.api.post(`/conversations/${this.id}/messages`, {
      // Also where another time was chosen meanwhile: what has come already keeps its own.
      client_id: this.#scheduling.idOf([content, attachmentIds, this.replyTo?.id]),
      content,
      send_at: at,
      mentions,
      ...this.#bare,
      ...(this.replyTo?.id && { reply_to: this.replyTo.id }),
      ...(attachmentIds.length > 0 && { attachment_ids: attachmentIds }),
      ...(this.root && { thread_id: this.root, also_to_conversation: this.isAlsoTold })
    });
    this.#scheduling.done();
    return scheduled as Scheduled;
  }

  /** Another text for one's own message; an assistant is asked again with it. */
  async change(id: string, content: string): Promise<void> {
    if (!isAssistantChat(this.conversation)) return this.#reword(id, content);
    await this.log.askAgain(id, content);
    this.goToEnd();
  }

  /** What was refused because it notifies many is confirmed by saying it again. */
  async #reword(id: string, content: string): Promise<void> {
    const { calledAnew } = await import('./composer/naming.ts');
    const before = this.log.find(id)?.mentions ?? [];
    const isConfirmed = this.#unconfirmed === content;
    this.#unconfirmed = null;
    try {
      await this.log.edit(id, content, calledAnew(content, this.#callable, before), isConfirmed);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'confirm_mention') this.#unconfirmed = content;
      throw error;
    }
  }

  async showVersion(id: string, index: number): Promise<void> {
    this.stay();
    await this.#attempt(() => this.log.showVersion(id, index));
  }

  /** The last message that one has written oneself. */
  editLast(): boolean {
    const last = this.log.items.findLast(({ view }) => view.own && view.id !== null);
    if (last) this.edit(last.view);
    return last !== undefined;
  }

  cancel(): boolean {
    const was = this.replyTo !== null || this.editing !== null;
    if (this.editing?.id) this.#chat.drafts.setEdit(this.editing.id, null);
    // What was begun before an edit goes on after it, with what it answers.
    if (this.editing) this.editing = null;
    else if (this.replyTo) this.#answer(null);
    return was;
  }

  /** A text as who writes it sees it. */
  wordsOf(content: string): string {
    return this.channels?.unlinked(content) ?? content;
  }

  async copy(view: MessageView): Promise<void> {
    toast((await copyText(this.wordsOf(view.content))) ? m.chat_copied() : m.chat_copy_failed());
  }

  /** Begins to read an answer aloud, or ends it. */
  async readAloud({ key, content }: MessageView): Promise<void> {
    const isOver = this.reading === key;
    this.reading = isOver ? null : key;
    try {
      const { silence, speak } = await import('./logic/speech.ts');
      if (isOver) return silence();
      speak(content, () => {
        if (this.reading === key) this.reading = null;
      });
    } catch {
      this.reading = null;
      toast(m.part_failed());
    }
  }

  /** The conversation is left: nobody listens any more. */
  /** Runs that when it is closed, at once where it was. */
  onClose(run: () => void): void {
    if (this.#closing) this.#closing.push(run);
    else run();
  }

  close(): void {
    this.#closing?.forEach((run) => run());
    this.#closing = null;
    if (this.reading === null) return;
    // Where it never came, nothing is heard.
    import('./logic/speech.ts').then(
      ({ silence }) => silence(),
      () => undefined
    );
  }

  async delete(view: MessageView): Promise<void> {
    this.deleting = null;
    if (this.editing?.key === view.key) this.cancel();
    if (view.id && this.replyTo?.id === view.id) this.#answer(null);
    this.focus();
    if (view.id) await this.#attempt(() => this.log.remove(view.id as string));
  }

  async stop(id: string): Promise<void> {
    await this.#attempt(() => this.log.stop(id));
  }

  /** Whether the reader may decide about a tool that an answer wants to call. */
  mayDecide(askerId: string): boolean {
    return askerId === this.#app.session.account?.id;
  }

  async decide(messageId: string, callId: string, decision: ToolDecision, more?: ToolAllowance): Promise<boolean> {
    return this.#attempt(() => this.log.decide(messageId, callId, decision, more));
  }

  async regenerate(id: string, model?: string): Promise<boolean> {
    const isAsked = await this.#attempt(() => this.log.regenerate(id, model));
    if (isAsked) this.goToEnd();
    return isAsked;
  }

  /** Has another model answer beside an answer. */
  async compare(id: string, model: string, second: SecondAnswer): Promise<boolean> {
    return this.#attempt(async () => {
      second.begin(await this.log.compare(id, model));
    });
  }

  /** Tells such an answer how it goes on; answers how to stop that. */
  follow(second: SecondAnswer): () => void {
    return this.#app.connection.on((frame) => second.hear(frame));
  }

  /** Another model for what `choosing` says: an answer is given again at once, a chat goes on with it. */
  async chooseModel(model: string): Promise<void> {
    const { choosing } = this;
    this.choosing = null;
    if (choosing?.answer?.id) {
      const { answer, isComparing } = choosing;
      if (isComparing) this.#chat.comparing.shown = { conversationId: this.id, model, first: answer, question: null };
      else await this.regenerate(choosing.answer.id, model);
      return;
    }
    if (choosing?.isComparing) {
      this.#chat.comparing.model = model;
      this.focus();
      return;
    }
    // The assistant's own is no choice: where that is changed later, the chat follows.
    const chosen = model === this.assistant?.model ? '' : model;
    if (this.beginning) this.beginning.choose(chosen || null);
    else await this.#attempt(() => this.#app.conversations.update(this.id, { model: chosen }));
    this.focus();
  }

  /** Stops the newest answer that is being written. */
  stopLast(): boolean {
    const last = this.log.streaming.at(-1);
    if (last) void this.stop(last.id);
    return last !== undefined;
  }

  async #attempt(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      toast(m.chat_action_failed({ reason: await sentenceSoon(error) }));
      return false;
    }
  }
}
