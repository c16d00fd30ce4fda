/** Renders formulas; loaded with the first one. */
import katex from 'katex';
import 'katex/dist/katex.min.css';

/** Untrusted input: no links, images or styles; bounded macros and sizes. */
const BOUNDED = { trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20, throwOnError: true } as const;

/** Renders a formula into `element`; invalid ones stay as source. */
export function drawFormula(text: string, display: boolean, element: HTMLElement): void {
  try {
    katex.render(text, element, { ...BOUNDED, displayMode: display });
    element.classList.add('drawn');
  } catch {
    element.textContent = text;
  }
}
