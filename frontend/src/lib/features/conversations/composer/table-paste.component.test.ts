import { expect, it } from 'vitest';
import { tableFrom } from './table-paste.ts';

it('converts a table', () => {
  expect(tableFrom('<table><tr><th>Pier</th><th>Tide</th></tr><tr><td>a|b</td><td>6</td></tr></table>')).toBe(
    '| Pier | Tide |\n| --- | --- |\n| a\\|b | 6 |'
  );
});

it('leaves the values of merged cells below their headings', () => {
  const table = `<table>
    <tr><th>Day</th><th colspan="2">Tides</th><th>Pier</th></tr>
    <tr><td rowspan="2">Monday</td><td>6</td><td>18</td><td>East</td></tr>
    <tr><td>7</td><td>19</td><td>West</td></tr>
  </table>`;
  expect(tableFrom(table)?.split('\n')).toEqual([
    '| Day | Tides |  | Pier |',
    '| --- | --- | --- | --- |',
    '| Monday | 6 | 18 | East |',
    '|  | 7 | 19 | West |'
  ]);
  expect(tableFrom('<table><tr><td rowspan="0">a</td><td>b</td></tr><tr><td>c</td></tr></table>')).toMatch(
    /\| {2}\| c \|$/
  );
});

it('keeps the lines of a cell apart', () => {
  const table = '<table><tr><td>one<br>two\n  three</td><td><p>four</p><p>five</p></td></tr></table>';
  expect(tableFrom(table)).toMatch(/^\| one<br>two three \| four<br>five \|/);
});

it('converts no page with other text, and no huge table', () => {
  expect(tableFrom('<p>Hi</p><table><tr><td>a</td><td>b</td></tr></table>')).toBeNull();
  expect(tableFrom(`<table>${'<tr><td>a</td><td>b</td></tr>'.repeat(1_001)}</table>`)).toBeNull();
});
