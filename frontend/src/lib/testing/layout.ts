/** Checks of the layout that a reader would notice. */
import { expect } from 'vitest';

/** Whether the content of an element may be wider than the element: it scrolls, or ends with an ellipsis. */
function isAllowedToOverflow(element: Element): boolean {
  if (element.matches('input, textarea, select')) return true;
  const { overflowX, textOverflow, clipPath, clip, webkitLineClamp } = getComputedStyle(element);
  const isHiddenText = clipPath !== 'none' || clip !== 'auto';
  const isCut = overflowX !== 'visible' && (textOverflow === 'ellipsis' || webkitLineClamp !== 'none');
  return isHiddenText || isCut || overflowX === 'auto' || overflowX === 'scroll';
}

/** Elements whose content is wider than they are and neither scrolls nor ends with an ellipsis. */
function overflowing(root: Element): string[] {
  // What screen readers skip is a decoration.
  return [root, ...root.querySelectorAll(':not([aria-hidden="true"], [aria-hidden="true"] *)')]
    .filter(({ scrollWidth, clientWidth }) => clientWidth > 0 && scrollWidth > clientWidth + 1)
    .filter((element) => !isAllowedToOverflow(element) && !element.closest('svg'))
    .map(
      ({ tagName, className, scrollWidth, clientWidth }) => `${tagName}.${className}: ${scrollWidth} > ${clientWidth}`
    );
}

/** Expects that the whole text can be read or ends with an ellipsis. */
export function expectNoOverflow(root: Element): void {
  expect(root.textContent).not.toBe('');
  expect(overflowing(root)).toEqual([]);
}

/** Expects that the text of an element is too long and ends with an ellipsis. */
export function expectEllipsis(element: Element): void {
  expect(getComputedStyle(element).textOverflow).toBe('ellipsis');
  expect(element.scrollWidth).toBeGreaterThan(element.clientWidth);
}

/** Expects that elements follow each other from left to right. */
export function expectLeftToRight(...elements: Element[]): void {
  const centres = elements.map((element) => {
    const { left, right } = element.getBoundingClientRect();
    return (left + right) / 2;
  });
  expect(centres).toEqual(centres.toSorted((a, b) => a - b));
  expect(new Set(centres).size).toBe(elements.length);
}

/** Expects that elements follow each other from right to left. */
export function expectRightToLeft(...elements: Element[]): void {
  expectLeftToRight(...elements.toReversed());
}

/** Space in pixels between the edges of an element and those of its container. */
export function insetsOf(element: Element, container: Element): { left: number; right: number } {
  const [inner, outer] = [element.getBoundingClientRect(), container.getBoundingClientRect()];
  return { left: inner.left - outer.left, right: outer.right - inner.right };
}
