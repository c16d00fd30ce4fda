/** Renders formulas. Loaded when the first one is shown. */
import katex from 'katex';
import 'katex/dist/katex.min.css';

/** Options for untrusted input: no links, images or styles, and limited macros and sizes. */
const BOUNDED = { trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20, throwOnError: true } as const;

/** Renders a formula into `element`. An invalid formula is shown as its source. */
export function drawFormula(text: string, display: boolean, element: HTMLElement): void {
  try {
    katex.render(text, element, { ...BOUNDED, displayMode: display });
    element.classList.add('drawn');
  } catch {
    element.textContent = text;
  }
}
