/** Layout of pictures, computed before they are loaded. */

const WIDEST = 420;
const HIGHEST = 320;
const NARROWEST = 80;
/** Maximum number of pictures that a grid shows. */
export const MAX_SHOWN = 4;

export interface Frame {
  readonly width: number;
  readonly ratio: number;
}

/** Size of a single picture. It is never enlarged and never too thin to be clicked. */
export function frameOf(width: number, height: number): Frame {
  const ratio = width / height;
  const wide = Math.max(NARROWEST, Math.min(width, WIDEST, HIGHEST * ratio));
  return { width: Math.round(wide), ratio: Math.max(ratio, wide / HIGHEST, 0.2) };
}
