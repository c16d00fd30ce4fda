export type Dialog = 'new-chat' | 'palette' | 'shortcuts' | 'new-workspace' | 'workspace-members' | 'rename' | null;

/** What of the frame is open. */
export class Shell {
  /** The side panel with the conversation's members. */
  panel = $state(false);
  dialog = $state<Dialog>(null);
  /** The conversation that is being renamed. */
  subject = $state<string | null>(null);
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
