import type { Attachment } from 'svelte/attachments';

/** So far before the end is near, as CSS has it. */
const LOAD_MARGIN = '600px';

/** Stands where what is drawn of a long list ends, as a child of what scrolls: `more` is called when one comes near it. */
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
