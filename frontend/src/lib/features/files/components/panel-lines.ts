import { dateFormat } from '#lib/i18n/dates.ts';
import type { SentFile } from '#lib/api/files.ts';

/** Line of the list: the heading of a month, or a row of files. */
export interface PanelLine {
  readonly key: string;
  readonly month: string | null;
  readonly files: readonly SentFile[];
}

/** Lines of a list of files, grouped by month, newest first. */
export function linesOf(files: readonly SentFile[], columns: number): PanelLine[] {
  const format = dateFormat({ month: 'long', year: 'numeric' });
  const months = Map.groupBy(files, ({ created_at }) => format.format(Date.parse(created_at)));
  return [...months].flatMap(([month, sent]) => [{ key: month, month, files: [] }, ...rowsOf(sent, columns)]);
}

function rowsOf(files: readonly SentFile[], columns: number): PanelLine[] {
  return Array.from({ length: Math.ceil(files.length / columns) }, (_, at) => {
    const row = files.slice(at * columns, (at + 1) * columns);
    return { key: `${row[0]?.message_id}/${row[0]?.upload.id}`, month: null, files: row };
  });
}
