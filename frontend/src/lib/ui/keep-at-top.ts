/** Events of the inputs by which people scroll. */
const SCROLL_INPUTS = ['wheel', 'touchstart', 'pointerdown', 'keydown'];

/**
 * Scrolls to an element, and again whenever the content of its scroll container changes its size, until the user scrolls.
 * `overflow-anchor` isn't enough: the content may be too short at first for the element to reach the top.
 * Returns a function that stops it.
 */
export function keepAtTop(container: HTMLElement, find: () => Element | null): () => void {
  const observer = new ResizeObserver(() => find()?.scrollIntoView());
  for (const content of container.children) observer.observe(content);
  const stop = () => {
    observer.disconnect();
    for (const type of SCROLL_INPUTS) window.removeEventListener(type, stop, true);
  };
  for (const type of SCROLL_INPUTS) window.addEventListener(type, stop, { capture: true, passive: true });
  return stop;
}
