import { PHONE } from '#lib/util/phone.ts';

/** Minimum height in pixels that a sheet leaves to the page; below it, the sheet covers the page instead. */
const MIN_PAGE_HEIGHT = 260;

/**
 * Shortens the page by the height of a sheet, as the keyboard of a phone does, so that the newest message and the composer stay visible above it.
 * Returns a function that restores the page.
 */
export function liftPage(sheet: HTMLElement): () => void {
  const { style } = document.documentElement;
  const update = () => {
    const height = matchMedia(PHONE).matches ? sheet.offsetHeight : 0;
    style.setProperty('--sheet', `${innerHeight - height < MIN_PAGE_HEIGHT ? 0 : height}px`);
  };
  const observer = new ResizeObserver(update);
  observer.observe(sheet);
  addEventListener('resize', update);
  return () => {
    observer.disconnect();
    removeEventListener('resize', update);
    style.removeProperty('--sheet');
  };
}
