import { tick } from 'svelte';
import type { Block } from '#lib/features/conversations/artifact-context.ts';
import type { MessageView } from '#lib/features/conversations/rows.ts';
import { PHONE } from '#lib/util/phone.ts';

export type Dialog =
  | 'new-chat'
  | 'new-channel'
  | 'channel-settings'
  | 'section'
  | 'project'
  | 'palette'
  | 'shortcuts'
  | 'status'
  | 'person'
  | 'new-workspace'
  | 'workspace-members'
  | 'invite'
  | 'rename'
  | 'archived-chats'
  | 'export'
  | 'share'
  | null;

/** Section to create with a first conversation, or to rename if it has an id. */
export interface SectionSubject {
  id?: string;
  conversationId?: string;
  /** Whether instructions and files are opened after creation. */
  isProject?: boolean;
}

/** Thread that is open beside its conversation. */
export interface OpenThread {
  readonly conversationId: string;
  readonly rootId: string;
}

/** Artifact that is open beside its conversation. */
export interface OpenArtifact {
  readonly conversationId: string;
  /** Id of the first message of the thread with the answer; null if that isn't in a thread. */
  readonly rootId: string | null;
  readonly block: Block;
  /** Log of the conversation, in whose answers other versions are found. */
  readonly log: { readonly items: readonly { readonly view: MessageView }[] };
}

export type Side = 'details' | 'files' | 'board' | 'thread' | 'kept' | 'around' | 'artifact';

/** State of the app's frame: side panel, dialogs and find bar. */
export class ShellStore {
  panel = $state(false);
  side = $state<Side>('details');
  thread = $state.raw<OpenThread | null>(null);
  artifact = $state.raw<OpenArtifact | null>(null);
  /** Id of the message that is shown with the messages around it; null if there is none. */
  around = $state<string | null>(null);
  /** Id of the reply to scroll to once the thread is loaded; null if there is none. */
  replyTarget = $state<string | null>(null);
  /** Id of the message to scroll to once the conversation is loaded; null if there is none. */
  target = $state<string | null>(null);
  /** Id of the conversation whose find bar is open; null if there is none. */
  finding = $state<string | null>(null);
  dialog = $state<Dialog>(null);
  /** Id of the conversation, person or section that the dialog is about; null if there is none. */
  subject = $state<string | null>(null);
  /** Element at which the card of a person opens; null if there is none. */
  anchor: Element | null = null;
  section = $state.raw<SectionSubject>({});
  #focusedBefore: readonly (Element | null)[] = [];
  /** Whether the user has come to the start page from a conversation or by the back button, so that it doesn't open the last conversation. */
  hasLeftConversation = $state(false);
  /** Title with which the dialog of a new channel starts. */
  channelTitle = $state('');

  togglePanel(side: Side = 'details'): void {
    const isShown = this.panel && this.side === side;
    this.openPanel(side);
    this.panel = !isShown;
  }

  openThread(thread: OpenThread, replyId: string | null = null): void {
    this.thread = thread;
    this.replyTarget = replyId;
    this.openPanel('thread');
  }

  openArtifact(artifact: OpenArtifact): void {
    this.artifact = artifact;
    this.openPanel('artifact');
  }

  /** Closes the artifact. If it was opened from a thread, that is shown again. */
  closeArtifact(): void {
    const { conversationId, rootId = null } = this.artifact ?? {};
    if (conversationId && rootId) this.openThread({ conversationId, rootId });
    else this.closePanel();
  }

  openAround(messageId: string): void {
    this.around = messageId;
    this.openPanel('around');
  }

  openPanel(side: Side = 'details'): void {
    this.#rememberFocus();
    this.side = side;
    this.panel = true;
  }

  /** Scrolls to a message. On phones the panel is closed, because it covers the conversation. */
  showMessage(messageId: string): void {
    this.target = messageId;
    if (matchMedia(PHONE).matches) this.panel = false;
  }

  closePanel(): void {
    this.panel = false;
    void this.#returnFocus();
  }

  /** Stores the focused element, and its message, because the buttons of a message exist only while it has the focus. */
  #rememberFocus(): void {
    const active = document.activeElement;
    if (active?.closest('.panel')) return;
    this.#focusedBefore = [active, active?.closest('article') ?? null];
  }

  /** Returns the focus to the element from which the panel was opened, unless another one has it. */
  async #returnFocus(): Promise<void> {
    await tick();
    for (const element of this.#focusedBefore) {
      if (document.activeElement !== document.body) break;
      // A field would open the keyboard of a phone.
      const isField = element?.matches('input, textarea') && matchMedia('(pointer: coarse)').matches;
      if (element instanceof HTMLElement && !isField) element.focus({ preventScroll: true });
    }
    this.#focusedBefore = [];
  }

  openFind(conversationId: string): void {
    this.finding = conversationId;
  }

  closeFind(): void {
    this.finding = null;
  }

  openNewChat(): void {
    this.dialog = 'new-chat';
  }

  openRename(conversationId: string): void {
    this.subject = conversationId;
    this.dialog = 'rename';
  }

  openExport(conversationId: string): void {
    this.subject = conversationId;
    this.dialog = 'export';
  }

  openShare(conversationId: string): void {
    this.subject = conversationId;
    this.dialog = 'share';
  }

  /** Opens the card of a person at an element, by default the focused one. The element that has opened it closes it. */
  openPerson(userId: string, anchor: Element | null = document.activeElement): void {
    const at = anchor === document.body ? null : anchor;
    const isOpen = this.dialog === 'person' && this.subject === userId && this.anchor === at;
    if (isOpen && at) return this.close('person');
    this.subject = userId;
    this.anchor = at;
    this.dialog = 'person';
  }

  openNewChannel(title = ''): void {
    this.channelTitle = title;
    this.dialog = 'new-channel';
  }

  openChannelSettings(conversationId: string): void {
    this.subject = conversationId;
    this.dialog = 'channel-settings';
  }

  openSection(section: SectionSubject): void {
    this.section = section;
    this.dialog = 'section';
  }

  openProject(sectionId: string): void {
    this.subject = sectionId;
    this.dialog = 'project';
  }

  openPalette(): void {
    this.dialog = 'palette';
  }

  openShortcuts(): void {
    this.dialog = 'shortcuts';
  }

  /** Closes this dialog, unless another one has replaced it. */
  close(dialog: Dialog): void {
    if (this.dialog === dialog) this.dialog = null;
  }
}
