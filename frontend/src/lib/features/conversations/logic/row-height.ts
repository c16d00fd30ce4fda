/** Estimates the height of rows that aren't measured yet. With a bad estimate too many rows are drawn, which is slow on phones. */
import { carries, type Row } from '../rows.ts';

/** Height of a line, in pixels. */
const LINE = 24;
const BETWEEN = 16;
const NAME = 24;
const MORE = 80;
/** Characters in a line of a wide screen. */
const WIDE = 85;
const NARROW = 38;
/** Number of the last rows that the estimate is based on. */
const COUNTED = 16;

export function likelyHeight(rows: readonly Row[], isNarrow: boolean): number {
  const last = rows.slice(-COUNTED);
  const sum = last.reduce((sum, { view, isHead }) => {
    const lines = view.content.split('\n', COUNTED).reduce((count, line) => {
      return count + Math.max(1, Math.ceil(line.length / (isNarrow ? NARROW : WIDE)));
    }, 0);
    return sum + BETWEEN + LINE * lines + (isHead ? NAME : 0) + (carries(view) || view.previews.length > 0 ? MORE : 0);
  }, 0);
  return last.length > 0 ? sum / last.length : BETWEEN + LINE;
}
