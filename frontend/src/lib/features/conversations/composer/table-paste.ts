/** Maximum number of cells of an HTML table that is converted to Markdown when it is pasted. */

const MAX_CELLS = 2_000;
/** Maximum number of rows or columns that a merged cell covers. */
const MAX_SPAN = 50;
/** Stands for the end of a line, because white space within the HTML has no meaning. */
const LINE_END = '\u0000';

/** Converts a table to Markdown. Null unless the HTML contains exactly one table that isn't too large. */
export function tableFrom(html: string): string | null {
  const { body: page } = new DOMParser().parseFromString(html, 'text/html');
  const table = page.querySelector('table');
  for (const unseen of page.querySelectorAll('style, script')) unseen.remove();
  if (table?.textContent.trim() !== page.textContent.trim()) return null;
  const rows = gridOf(Array.from(table?.rows ?? []));
  const columns = Math.max(0, ...rows.map((row) => row.length));
  if (rows.length * columns < 2 || rows.length * columns > MAX_CELLS) return null;
  const line = (cells: readonly string[]) =>
    `| ${Array.from({ length: columns }, (_, at) => cells[at] ?? '').join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(Array.from({ length: columns }, () => '---')), ...body.map(line)].join('\n');
}

/** Texts of the cells by row and column. A merged cell has its text once, and leaves the other places that it covers empty. */
function gridOf(rows: readonly HTMLTableRowElement[]): string[][] {
  const grid: string[][] = rows.map(() => []);
  for (const [y, row] of rows.entries()) {
    let x = 0;
    for (const cell of row.cells) {
      while (grid[y]?.[x] !== undefined) x++;
      const width = Math.min(cell.colSpan, MAX_SPAN);
      // A span of 0 extends to the last row.
      const height = Math.min(cell.rowSpan || MAX_SPAN, MAX_SPAN);
      for (const covered of grid.slice(y, y + height)) {
        for (let at = x; at < x + width; at++) covered[at] = '';
      }
      const own = grid[y];
      if (own) own[x] = textOf(cell);
      x += width;
    }
  }
  return grid;
}

/** Text of a cell. Its lines stay apart. */
function textOf(cell: HTMLTableCellElement): string {
  for (const end of cell.querySelectorAll('br, p, div, li')) end.after(LINE_END);
  const lines = cell.textContent.split(LINE_END).map((line) => line.trim().replace(/\s+/g, ' '));
  return lines
    .filter((line) => line !== '')
    .join('<br>')
    .replaceAll('|', '\\|');
}
