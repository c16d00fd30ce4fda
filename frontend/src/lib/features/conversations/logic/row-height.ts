/** Estimates the height of rows that aren't measured yet. With a bad estimate too many rows are drawn, which is slow on phones. */
import { hasAttachmentsOrIsHidden, type Row } from '../rows.ts';

/** Height of a line, in pixels. */
const LINE_HEIGHT = 24;
const ROW_GAP = 16;
const NAME_HEIGHT = 24;
const EXTRAS_HEIGHT = 80;
/** Characters in a line of a wide screen. */
const CHARS_PER_WIDE_LINE = 85;
const CHARS_PER_NARROW_LINE = 38;
/** Number of the last rows that the estimate is based on. */
const SAMPLED_ROWS = 16;

export function estimateRowHeight(rows: readonly Row[], isNarrow: boolean): number {
  const last = rows.slice(-SAMPLED_ROWS);
  const sum = last.reduce((sum, { view, isHead }) => {
    const lines = view.content.split('\n', SAMPLED_ROWS).reduce((count, line) => {
      return count + Math.max(1, Math.ceil(line.length / (isNarrow ? CHARS_PER_NARROW_LINE : CHARS_PER_WIDE_LINE)));
    }, 0);
    return (
      sum +
      ROW_GAP +
      LINE_HEIGHT * lines +
      (isHead ? NAME_HEIGHT : 0) +
      (hasAttachmentsOrIsHidden(view) || view.previews.length > 0 ? EXTRAS_HEIGHT : 0)
    );
  }, 0);
  return last.length > 0 ? sum / last.length : ROW_GAP + LINE_HEIGHT;
}
