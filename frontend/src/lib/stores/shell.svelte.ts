export type Dialog =
  | 'new-chat'
  | 'new-channel'
  | 'channel-settings'
  | 'section'
  | 'palette'
  | 'shortcuts'
  | 'new-workspace'
  | 'workspace-members'
  | 'rename'
  | null;

/** A section that is being made, with the first conversation in it, or being renamed. */
export interface SectionSubject {
  id?: string;
  conversationId?: string;
}

/** What of the frame is open. */
export class Shell {
  /** The side panel with the conversation's members. */
  panel = $state(false);
  dialog = $state<Dialog>(null);
  /** The conversation that is being renamed or set up. */
  subject = $state<string | null>(null);
  section = $state.raw<SectionSubject>({});
  /** What was looked for and isn't there: the title of the channel that is about to be made. */
  channelTitle = $state('');
  /** “Confirm your address” was put away for this visit. */
  isVerifyNoteClosed = $state(false);

  togglePanel(): void {
    this.panel = !this.panel;
  }

  openPanel(): void {
    this.panel = true;
  }

  closePanel(): void {
    this.panel = false;
  }

  openNewChat(): void {
    this.dialog = 'new-chat';
  }

  openRename(conversationId: string): void {
    this.subject = conversationId;
    this.dialog = 'rename';
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
