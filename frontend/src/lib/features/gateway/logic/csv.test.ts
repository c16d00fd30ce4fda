import { expect, it } from 'vitest';
import { csv } from './csv.ts';

it('quotes special characters and neutralises spreadsheet formulas', () => {
  const rows = [
    ['Key', 'Credits'],
    ['Laptop, "old"', 1.5],
    ['=HYPERLINK("http://evil.test")', 0],
    ['two\nlines', -1]
  ];
  expect(csv(rows)).toBe(
    'Key,Credits\r\n"Laptop, ""old""",1.5\r\n"\'=HYPERLINK(""http://evil.test"")",0\r\n"two\nlines",-1\r\n'
  );
});
