import { createContext } from 'svelte';
import type { App } from '#lib/app/app.ts';
import type { Picture } from '#lib/api/assistants.ts';
import type { AssistantMember, Conversation, Sender } from '#lib/api/types.ts';
import { m } from '#lib/paraglide/messages.js';
import type { MessageTasksStore } from '#lib/features/boards/message-tasks.svelte.ts';
import type { ThreadLog } from '#lib/features/threads/thread-log.svelte.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Failure } from '#lib/realtime/state.ts';
import type { ConversationContext } from './context.ts';
import type { ConversationLog } from './conversation-log.svelte.ts';
import { knowsEverybody } from './conversation-name.ts';
import { MAX_LOADED } from './conversations.svelte.ts';
import { closedReason, isAssistantChat, isChannel, isPersonal, mayManage, type Closed } from './kinds.ts';
import type { Rights } from './logic/actions.ts';
import { setNames } from './names.ts';
import { ConversationNavigation } from './stores/conversation-navigation.svelte.ts';
import { MessageDialogs } from './stores/message-dialogs.svelte.ts';
import { ModelSelectionStore } from './stores/model-selection.svelte.ts';
import { NameDirectoryStore } from './stores/name-directory.svelte.ts';

export type { Pictured, Viewing } from './stores/message-dialogs.svelte.ts';

export interface Reader {
  readonly id: string;
  readonly name: string;
}

/** Conversation that is created together with its first message; until then the server doesn't know it. */
export interface PendingConversation {
  readonly conversation: Conversation;
  /** Creates the conversation, sends its first message and opens it. */
  readonly start: (content: string, files: readonly AttachedFile[]) => Promise<void>;
  /** Selects a model; null for the assistant's own. */
  readonly choose: (model: string | null) => void;
  /** Description of the assistant. */
  readonly purpose: string;
  /** First questions that the assistant suggests. */
  readonly starters: readonly string[];
  /** Reason why the first message was refused; null if it was not. */
  readonly refusal: Failure | null;
}

const [useConversationView, provideConversationView] = createContext<ConversationView>();
export { useConversationView };

/** Provides the view to the components below, whose texts can then show the names of its people, channels and emoji. */
export function setConversationView(conversationView: ConversationView): ConversationView {
  setNames(() => conversationView.directory.allNames);
  return provideConversationView(conversationView);
}

/** Data and rights of an open conversation or thread, and the stores of its parts. */
export class ConversationView {
  /** Tasks that were created from messages; null until their module has loaded. */
  tasks = $state.raw<MessageTasksStore | null>(null);
  /** Key of the answer that is being read aloud; null if there is none. */
  reading = $state<string | null>(null);

  readonly log: ConversationLog;
  /** Id of the first message if this is a thread; null for a conversation. */
  readonly root: string | null;
  /** Key under which the draft and its files are stored. */
  readonly key: string;
  readonly directory: NameDirectoryStore;
  readonly dialogs = new MessageDialogs();
  readonly navigation: ConversationNavigation;
  readonly models: ModelSelectionStore;
  /** Callbacks to run when the view is closed; null after that. */
  #closing: (() => void)[] | null = [];

  readonly conversation = $derived.by<Conversation | undefined>(
    () => this.pending?.conversation ?? this.app.conversations.get(this.id)
  );
  readonly name = $derived.by(() => {
    const name = this.conversation && this.app.conversations.nameOf(this.conversation);
    return name || m.chat_unnamed();
  });
  /** Name of the recipient: in a chat with an assistant its name, even if the chat has a title. */
  readonly addressee = $derived.by(() => this.assistant?.name || this.name);
  /** Assistant of the chat; undefined in other conversations. */
  readonly assistant = $derived.by<AssistantMember | undefined>(() =>
    isAssistantChat(this.conversation) ? this.conversation?.assistants?.[0] : undefined
  );
  readonly others = $derived.by<readonly Reader[]>(() =>
    this.conversation
      ? this.app.conversations
          .others(this.conversation)
          .map(({ user_id, display_name }) => ({ id: user_id, name: display_name }))
      : []
  );
  /** Whether `others` contains everyone; for a large conversation it has only the first members. */
  readonly knowsEverybody = $derived.by(() => this.conversation !== undefined && knowsEverybody(this.conversation));
  readonly workspaceRole = $derived.by(
    () => this.conversation && this.app.workspaces.get(this.conversation.workspace_id)?.role
  );
  /** Reason why the user can't write here; null if they can. */
  readonly closed = $derived.by<Closed | null>(() =>
    this.conversation && !this.pending ? closedReason(this.conversation, this.workspaceRole) : null
  );
  readonly rights = $derived.by<Rights>(() => {
    const { conversation } = this;
    const canDelete =
      conversation !== undefined && isChannel(conversation) && mayManage(conversation, this.workspaceRole);
    return {
      canWrite: this.closed === null,
      canReact: !this.closed || this.closed === 'admins_only',
      hasThreads: this.root === null && !this.pending && !isPersonal(conversation),
      canDelete,
      hasMarks: !this.pending,
      canMarkUnread: this.root === null && !this.pending && conversation?.own != null,
      canRead: 'speechSynthesis' in globalThis,
      canChooseModel: this.models.canChoose,
      canCompare: this.root === null && isAssistantChat(conversation)
    };
  });
  readonly isConnected = $derived.by(() => this.app.connection.state === 'online' || this.app.connection.ready);

  constructor(
    readonly app: App,
    readonly chat: ConversationContext,
    readonly id: string,
    readonly pending: PendingConversation | null = null,
    thread: ThreadLog | null = null
  ) {
    this.log = thread ?? chat.messages.conversation(id);
    this.root = thread?.rootId ?? null;
    this.key = this.root === null ? id : `${id}/${this.root}`;
    this.directory = new NameDirectoryStore(app, chat, this);
    this.navigation = new ConversationNavigation(app, id, this.root);
    this.models = new ModelSelectionStore(chat, this);
  }

  /** Picture of an assistant: that of the member, or else the one that the message contains. */
  pictureOf({ id, picture }: Sender): Picture | null {
    const member = this.conversation?.assistants?.find((assistant) => assistant.id === id);
    return (member ? member.picture : picture) ?? null;
  }

  /** Members who have read the message at `seq`, and whether all others have received it. */
  receiptOf(seq: number): { readers: Reader[]; isDelivered: boolean } {
    const { positions } = this.log;
    // There are no receipts in large conversations.
    if ((this.conversation?.member_count ?? 0) > MAX_LOADED) return { readers: [], isDelivered: false };
    const readers = this.others.filter(({ id }) => (positions.get(id)?.read ?? 0) >= seq);
    const isDelivered =
      this.knowsEverybody && this.others.every(({ id }) => (positions.get(id)?.delivered ?? 0) >= seq);
    return { readers, isDelivered };
  }

  /** Whether a dialog or the comparison of models covers the conversation. */
  get hasOverlay(): boolean {
    return this.dialogs.current !== null || this.models.comparing !== null;
  }

  closeOverlays(): void {
    this.dialogs.closeAll();
    this.models.stopComparison();
  }

  /** Calls `run` when the view is closed, or at once if it is closed already. */
  onClose(run: () => void): void {
    if (this.#closing) this.#closing.push(run);
    else run();
  }

  close(): void {
    this.#closing?.forEach((run) => run());
    this.#closing = null;
  }
}
