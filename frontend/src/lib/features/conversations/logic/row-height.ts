/**
 * About how high messages will be, from what they say. Until they are measured as many are drawn as seem to be in view: those that are too
 * many would be drawn to be taken away again, and on a phone most of them take two lines.
 */
import { carries, type Row } from '../rows.ts';

/** In pixels. */
const LINE = 24;
const BETWEEN = 16;
const NAME = 24;
const MORE = 80;
/** In letters. */
const WIDE = 85;
const NARROW = 38;
/** So many are looked at: a screen of them. */
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
