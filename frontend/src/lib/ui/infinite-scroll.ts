import type { Attachment } from 'svelte/attachments';

/** Distance to the end of the list at which loading starts, as margin of the observer. */
const LOAD_MARGIN = '600px';

/** Attachment for an element at the end of a scrolling list. Calls `more` when the element comes near the visible area. */
export function whenNear(more: () => void): Attachment<HTMLElement> {
  return (element) => {
    const seen = (entries: IntersectionObserverEntry[]) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) more();
    };
    const observer = new IntersectionObserver(seen, { root: element.parentElement, rootMargin: `${LOAD_MARGIN} 0px` });
    observer.observe(element);
    return () => observer.disconnect();
  };
}
