import type { Attachment } from 'svelte/attachments';

const PRESS_MS = 450;
/** Movement in pixels from which a touch is scrolling and no long press. */
const MOVE_TOLERANCE = 8;

/**
 * Suppresses the click that follows when the finger is lifted, because it would hit the sheet that has just opened. Clicks by keyboard are not
 * affected.
 */
function swallowClick(): void {
  const listening = new AbortController();
  const { signal } = listening;
  const swallow = (event: MouseEvent) => {
    if (event.detail === 0) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener('click', swallow, { capture: true, signal });
  window.addEventListener('pointerdown', () => listening.abort(), { capture: true, signal });
}

/** Elements within which a touch is no long press, because they react to it themselves or scroll horizontally. */
const IGNORED_TARGETS = 'a, button, pre, .tbl';

/** Attachment that calls `act` after a long press. */
export function longPress(act: () => void, except = IGNORED_TARGETS): Attachment<HTMLElement> {
  return (element) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let start = { x: 0, y: 0 };
    const cancel = () => clearTimeout(timer);
    const begin = (event: TouchEvent) => {
      cancel();
      const touch = event.touches[0];
      if (!touch || event.touches.length > 1 || (event.target as Element).closest(except)) return;
      start = { x: touch.clientX, y: touch.clientY };
      timer = setTimeout(() => {
        // Browsers allow vibration only after the user has interacted with the page.
        if (navigator.userActivation.hasBeenActive) navigator.vibrate?.(10);
        swallowClick();
        act();
      }, PRESS_MS);
    };
    const move = (event: TouchEvent) => {
      const touch = event.touches[0];
      if (!touch || Math.hypot(touch.clientX - start.x, touch.clientY - start.y) > MOVE_TOLERANCE) cancel();
    };
    element.addEventListener('touchstart', begin, { passive: true });
    element.addEventListener('touchmove', move, { passive: true });
    element.addEventListener('touchend', cancel);
    element.addEventListener('touchcancel', cancel);
    return () => {
      cancel();
      element.removeEventListener('touchstart', begin);
      element.removeEventListener('touchmove', move);
      element.removeEventListener('touchend', cancel);
      element.removeEventListener('touchcancel', cancel);
    };
  };
}
