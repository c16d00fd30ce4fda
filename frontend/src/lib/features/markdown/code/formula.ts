/** Draws formulas. Loaded with the first message that holds one. */
import katex from 'katex';
import 'katex/dist/katex.min.css';

/** Untrusted input: no links, images or styles; bounded macros and sizes. */
const BOUNDED = { trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20, throwOnError: true } as const;

/** Puts the formula into `element`; one that can't be drawn stays there as it was written. */
export function drawFormula(text: string, display: boolean, element: HTMLElement): void {
  try {
    katex.render(text, element, { ...BOUNDED, displayMode: display });
    element.classList.add('drawn');
  } catch {
    element.textContent = text;
  }
}
