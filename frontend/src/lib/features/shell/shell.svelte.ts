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

/** What the side panel shows. */

/** A section that is being made, with the first conversation in it, or being renamed. */
export interface SectionSubject {
  id?: string;
  conversationId?: string;
  /** It is made to give it instructions and files. */
  isProject?: boolean;
}

/** A thread that is shown beside its conversation. */
export interface OpenThread {
  readonly conversationId: string;
  readonly rootId: string;
}

/** What of an answer is shown beside its conversation. */
export interface OpenArtifact {
  readonly conversationId: string;
  /** The thread in which it was said. */
  readonly rootId: string | null;
  readonly block: Block;
  /** Where its other versions are. */
  readonly log: { readonly items: readonly { readonly view: MessageView }[] };
}

export type Side = 'details' | 'files' | 'board' | 'thread' | 'kept' | 'around' | 'artifact';

/** What of the frame is open. */
export class ShellStore {
  /** The side panel beside the conversation. */
  panel = $state(false);
  /** What it shows. */
  side = $state<Side>('details');
  thread = $state.raw<OpenThread | null>(null);
  artifact = $state.raw<OpenArtifact | null>(null);
  /** The message that is shown with what stands around it. */
  around = $state<string | null>(null);
  /** The reply that is to be shown as soon as its thread is. */
  replyTarget = $state<string | null>(null);
  /** The message that is to be shown as soon as the conversation is. */
  target = $state<string | null>(null);
  /** The conversation in which words are looked for. */
  finding = $state<string | null>(null);
  dialog = $state<Dialog>(null);
  /** The conversation that is being renamed or set up; the person who is looked at; the section whose project it is. */
  subject = $state<string | null>(null);
  section = $state.raw<SectionSubject>({});
  /** What was looked for and isn't there: the title of the channel that is about to be made. */
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

  /** Back to the thread that it was opened from. */
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

  /** On a phone the panel is in the way. */
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

  /** Closes that dialog, unless another one has taken its place meanwhile. */
  close(dialog: Dialog): void {
    if (this.dialog === dialog) this.dialog = null;
  }
}
