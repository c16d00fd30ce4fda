/** Layout of pictures before they load. */

const WIDEST = 420;
const HIGHEST = 320;
const NARROWEST = 80;
/** Maximum number of pictures in a grid. */
export const MAX_SHOWN = 4;

export interface Frame {
  readonly width: number;
  readonly ratio: number;
}

/** Frame of a single picture; not enlarged and not too thin to click. */
export function frameOf(width: number, height: number): Frame {
  const ratio = width / height;
  const wide = Math.max(NARROWEST, Math.min(width, WIDEST, HIGHEST * ratio));
  return { width: Math.round(wide), ratio: Math.max(ratio, wide / HIGHEST, 0.2) };
}
