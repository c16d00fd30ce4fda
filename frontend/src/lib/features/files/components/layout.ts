/** How large pictures stand in a message, known before they have come. */

const WIDEST = 420;
const HIGHEST = 320;
const NARROWEST = 80;
/** So many stand in a grid; the last one says how many more there are. */
export const MAX_SHOWN = 4;

export interface Frame {
  readonly width: number;
  readonly ratio: number;
}

/** The frame of a picture that stands alone; never larger than the picture, nor too thin to be clicked. */
export function frameOf(width: number, height: number): Frame {
  const ratio = width / height;
  const wide = Math.max(NARROWEST, Math.min(width, WIDEST, HIGHEST * ratio));
  return { width: Math.round(wide), ratio: Math.max(ratio, wide / HIGHEST, 0.2) };
}
