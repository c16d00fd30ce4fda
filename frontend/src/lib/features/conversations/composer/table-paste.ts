/** Converts a pasted HTML table to Markdown. */

const MAX_CELLS = 2_000;

/** Null unless there is exactly one table of reasonable size. */
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

/** A cell that spans columns leaves the others empty. */
function cellsOf(cell: HTMLTableCellElement): string[] {
  const text = cell.textContent.trim().replace(/\s+/g, ' ').replaceAll('|', '\\|');
  return [text, ...Array.from({ length: Math.min(cell.colSpan, 50) - 1 }, () => '')];
}
