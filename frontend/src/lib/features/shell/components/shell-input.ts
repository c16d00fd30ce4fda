/** Keyboard shortcuts and swipes of the app frame. */
import type { App } from '#lib/app/app.ts';
import { isComposing } from '#lib/util/composing.ts';
import { goto } from '#lib/util/navigation.ts';
import { isPalette } from '../keys.ts';

/** State of the frame on which the shortcuts depend. */
interface FrameState {
  readonly openId: string | null;
  readonly hasPanel: boolean;
  /** Whether the panel previews a channel. */
  readonly isPreview: boolean;
  readonly isList: boolean;
}

/** Distance in pixels from which a movement counts as a swipe. */
const MIN_SWIPE = 90;

export class ShellInput {
  readonly #app: App;
  readonly #frame: FrameState;
  /** Start of a swipe that goes back: one finger that starts in the left half and moves mostly horizontally. */
  #touch: { x: number; y: number } | undefined;

  constructor(app: App, frame: FrameState) {
    this.#app = app;
    this.#frame = frame;
  }

  handleKey(event: KeyboardEvent): void {
    if (event.defaultPrevented || isComposing(event)) return;
    const { shell } = this.#app;
    if (isPalette(event)) {
      event.preventDefault();
      if (shell.dialog === 'palette') shell.close('palette');
      else shell.openPalette();
    } else if (event.altKey && !event.ctrlKey && !event.metaKey && ['ArrowUp', 'ArrowDown'].includes(event.key)) {
      event.preventDefault();
      this.#openNeighbour(event.key === 'ArrowDown' ? 1 : -1, event.shiftKey);
    } else if (event.key === '?' && !isTyping(event) && !shell.dialog) {
      event.preventDefault();
      shell.openShortcuts();
    } else if (event.key === 'Escape' && !shell.dialog && this.#frame.hasPanel) {
      this.#closePanel();
    }
  }

  startSwipe(event: TouchEvent): void {
    const point = event.touches[0];
    const isPlain = event.touches.length === 1 && point && point.clientX < innerWidth / 2;
    this.#touch = isPlain ? { x: point.clientX, y: point.clientY } : undefined;
  }

  endSwipe(event: TouchEvent): void {
    const point = event.changedTouches[0];
    if (!this.#touch || !point) return;
    const [across, down] = [point.clientX - this.#touch.x, Math.abs(point.clientY - this.#touch.y)];
    this.#touch = undefined;
    if (across < MIN_SWIPE || down > across / 2) return;
    if (this.#frame.hasPanel) this.#closePanel();
    else if (!this.#frame.isList) void goto('/');
  }

  /** Opens the next (1) or previous (-1) conversation in the order of the sidebar. `isUnread`: only unread ones count. */
  #openNeighbour(by: 1 | -1, isUnread: boolean): void {
    const { sidebar, workspaces } = this.#app;
    const workspaceId = workspaces.current?.id;
    const ordered = isUnread ? sidebar.unreadOrder(workspaceId) : sidebar.order(workspaceId);
    const at = ordered.findIndex(({ id }) => id === this.#frame.openId);
    const next = ordered[at === -1 ? 0 : at + by];
    if (next) void goto(`/c/${next.id}`);
  }

  #closePanel(): void {
    if (this.#frame.isPreview) void goto('/channels');
    else this.#app.shell.closePanel();
  }
}

/** Whether the user is typing text, so that shortcuts of a single key must not apply. */
function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}
