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
  | 'export'
  | 'share'
  | null;

/** Side panels. */

/** Section to create, with its first conversation, or to rename. */
export interface SectionSubject {
  id?: string;
  conversationId?: string;
  /** Opens instructions and files after creation. */
  isProject?: boolean;
}

/** Thread beside its conversation. */
export interface OpenThread {
  readonly conversationId: string;
  readonly rootId: string;
}

/** Artifact beside its conversation. */
export interface OpenArtifact {
  readonly conversationId: string;
  /** Thread of the message. */
  readonly rootId: string | null;
  readonly block: Block;
  /** Log with its other versions. */
  readonly log: { readonly items: readonly { readonly view: MessageView }[] };
}

export type Side = 'details' | 'files' | 'board' | 'thread' | 'kept' | 'around' | 'artifact';

/** UI state of the frame. */
export class ShellStore {
  /** Whether the side panel is open. */
  panel = $state(false);
  side = $state<Side>('details');
  thread = $state.raw<OpenThread | null>(null);
  artifact = $state.raw<OpenArtifact | null>(null);
  /** Message shown with its neighbours. */
  around = $state<string | null>(null);
  /** Reply to show once the thread is loaded. */
  replyTarget = $state<string | null>(null);
  /** Message to show once the conversation is loaded. */
  target = $state<string | null>(null);
  /** Conversation of the find bar. */
  finding = $state<string | null>(null);
  dialog = $state<Dialog>(null);
  /** Subject of the dialog: conversation, person or section. */
  subject = $state<string | null>(null);
  section = $state.raw<SectionSubject>({});
  /** Initial title of a new channel. */
  channelTitle = $state('');

  togglePanel(): void {
    const isShown = this.panel && this.side === 'details';
    this.openPanel();
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

  /** Returns to the thread it was opened from. */
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
    this.side = side;
    this.panel = true;
  }

  /** On phones the panel is closed first. */
  showMessage(messageId: string): void {
    this.target = messageId;
    if (matchMedia(PHONE).matches) this.panel = false;
  }

  closePanel(): void {
    this.panel = false;
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

  openPerson(userId: string): void {
    this.subject = userId;
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

  /** Closes the dialog if it is still the current one. */
  close(dialog: Dialog): void {
    if (this.dialog === dialog) this.dialog = null;
  }
}
