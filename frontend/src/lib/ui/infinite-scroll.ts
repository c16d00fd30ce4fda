import type { Attachment } from 'svelte/attachments';

/** Root margin of the observer: distance to the end at which loading starts. */
const LOAD_MARGIN = '600px';

/** Attachment for a sentinel at the end of a scrolling list: calls `more` when it comes near the viewport. */
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
