/** Maximum number of cells of an HTML table that is converted to Markdown when it is pasted. */

const MAX_CELLS = 2_000;

/** Converts a table to Markdown. Null unless the HTML contains exactly one table that isn't too large. */
export function tableFrom(html: string): string | null {
  const { body: page } = new DOMParser().parseFromString(html, 'text/html');
  const table = page.querySelector('table');
  for (const unseen of page.querySelectorAll('style, script')) unseen.remove();
  if (table?.textContent.trim() !== page.textContent.trim()) return null;
  const rows = Array.from(table?.rows ?? [], (row) => Array.from(row.cells).flatMap(cellsOf));
  const columns = Math.max(0, ...rows.map((row) => row.length));
  if (rows.length * columns < 2 || rows.length * columns > MAX_CELLS) return null;
  const line = (cells: readonly string[]) =>
    `| ${Array.from({ length: columns }, (_, at) => cells[at] ?? '').join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(Array.from({ length: columns }, () => '---')), ...body.map(line)].join('\n');
}

/** Text of a cell, followed by an empty one for each further column that it spans. */
function cellsOf(cell: HTMLTableCellElement): string[] {
  const text = cell.textContent.trim().replace(/\s+/g, ' ').replaceAll('|', '\\|');
  return [text, ...Array.from({ length: Math.min(cell.colSpan, 50) - 1 }, () => '')];
}
