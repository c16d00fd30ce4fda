import { expect, it } from 'vitest';
import { pdfUrl, textUrl } from '#lib/api/files.ts';
import { markCitations } from './citations.ts';
import { fragmentOf, isPdf, isDisplayedVerbatim, overlapOf, passageText } from './logic/citation-labels.ts';
import { parse } from '#lib/features/markdown/parse.ts';
import type { Block, Inline } from '#lib/features/markdown/tree.ts';

const LOOK = (() => undefined) as never;

/** Text of the blocks, with each citation mark written as ⟨n⟩. */
function written(blocks: readonly (Block | Inline)[]): string {
  return blocks
    .map((one): string => {
      if (one.type === 'mark') return `⟨${one.n}⟩`;
      if ('children' in one) return written(one.children);
      if ('blocks' in one) return written(one.blocks);
      if ('items' in one) return one.items.map(({ blocks }) => written(blocks)).join('|');
      if ('rows' in one) return [one.head, ...one.rows].map((row) => row.map(written).join('|')).join('/');
      return 'text' in one ? one.text : '';
    })
    .join('');
}

const cited = (source: string, ...known: number[]) =>
  written(markCitations(parse(source), (n) => known.includes(n), LOOK));

it('marks cited numbers, alone and in groups', () => {
  expect(cited('Keep eight [1]. Not nine[2][3], nor [1, 3].', 1, 2, 3)).toBe(
    'Keep eight⟨1⟩. Not nine⟨2⟩⟨3⟩, nor⟨1⟩⟨3⟩.'
  );
});

it('leaves numbers without a source unchanged', () => {
  expect(cited('As in [7] and a[0], but [1, 9].', 1)).toBe('As in [7] and a[0], but⟨1⟩[9].');
  expect(cited('Nothing [1]')).toBe('Nothing [1]');
});

it('finds citations in lists, tables, quotes and emphasis', () => {
  expect(cited('- one [1]\n- **two [2]**\n', 1, 2)).toBe('one⟨1⟩|two⟨2⟩');
  expect(cited('| a | b |\n|---|---|\n| x [1] | y |\n', 1)).toBe('a|b/x⟨1⟩|y');
  expect(cited('> said [1]', 1)).toBe('said⟨1⟩');
});

it('ignores code, formulas and links', () => {
  expect(cited('`a[1]` and [see [1]](https://example.test)', 1)).toBe('a[1] and see [1]');
  expect(cited('```\nlist[1]\n```', 1)).toBe('list[1]');
});

it('finds the overlap of two chunks', () => {
  expect(overlapOf('One. Two. Three.', 'Two. Three. Four.')).toBe('Two. Three.'.length);
  expect(overlapOf('One.', 'Two.')).toBe(0);
  expect(overlapOf('', 'Two.')).toBe(0);
});

it('links to the page of a PDF', () => {
  expect(['Plan.PDF', 'plan.pptx', 'pdf'].map(isPdf)).toEqual([true, false, false]);
  expect(pdfUrl({ id: '1', name: 'a b#1.pdf' }, 3)).toBe('/files/1/a%20b%231.pdf?view=true#page=3');
});

it('links to the line of a text file', () => {
  const names = ['notes.md', 'main.rs', 'LICENSE', 'a.csv', 'B.TSV', 'a.svg'];
  expect(names.filter(isDisplayedVerbatim)).toEqual(['notes.md', 'main.rs', 'LICENSE']);
  expect(textUrl({ id: '1', name: 'a b.md' })).toBe('/files/1/a%20b.md?view=true');
  expect(fragmentOf('---\n\n## Well-known, & more\n\n  Ends here.\nLast.')).toBe(
    '#:~:text=%23%23%20Well%2Dknown%2C%20%26%20more,-Ends%20here.'
  );
  expect(fragmentOf('Alone')).toBe('#:~:text=Alone');
  expect(fragmentOf(`${'word '.repeat(40)}\nnext`)).toBe(`#:~:text=${'word%20'.repeat(23)}word`);
  expect(fragmentOf('🚀'.repeat(200) + 'a')).toBe(`#:~:text=${encodeURIComponent('🚀'.repeat(120))}`);
  expect(fragmentOf('---\n')).toBe('');
});

it('shows passages of Markdown files without the marks of headings', () => {
  expect(passageText('## Laptops\nIssue #4 # 5\n###### Phones', 'devices.MD')).toBe('Laptops\nIssue #4 # 5\nPhones');
  expect(passageText('# comment', 'script.py')).toBe('# comment');
});
