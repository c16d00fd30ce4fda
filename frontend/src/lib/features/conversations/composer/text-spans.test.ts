import { describe, expect, it } from 'vitest';
import { HOSTILE } from '#lib/features/markdown/hostile.ts';
import fc from '#lib/util/property-testing.ts';
import type { Name } from '../mentions.ts';
import { MAX_STYLED_CHARS, spansOf } from './text-spans.ts';

const names: readonly Name[] = [
  { name: 'Ada', kind: 'me' },
  { id: 'u1', name: 'Ben Okafor', kind: 'person' },
  { id: 'c1', name: 'Harbour works', kind: 'channel' }
];

/** Styled parts, each as its styles and its text. */
const styled = (text: string) =>
  spansOf(text, names)
    ?.filter(({ style }) => style !== '')
    .map((span) => `${span.style}: ${span.text}`) ?? null;

describe('styles of a typed text', () => {
  it('show inline markup and its marks', () => {
    expect(styled('a **b _c_** `d`')).toEqual([
      'mark: **',
      'strong: b ',
      'strong mark: _',
      'strong em: c',
      'strong mark: _',
      'mark: **',
      'code mark: `',
      'code: d',
      'code mark: `'
    ]);
    expect(styled('~~old~~ https://a.example [b](https://b.example)')).toEqual([
      'mark: ~~',
      'del: old',
      'mark: ~~',
      'link: https://a.example',
      'mark: [',
      'link: b',
      'mark: ](https://b.example)'
    ]);
  });

  it('show mentions and channels, but not in code', () => {
    expect(styled('@ben okafor/@Ada see #Harbour works')).toEqual([
      'mention: @ben okafor',
      'mention me: @Ada',
      'mention: #Harbour works'
    ]);
    expect(styled('`@Ada`')).toEqual(['code mark: `', 'code: @Ada', 'code mark: `']);
  });

  it('show blocks', () => {
    expect(styled('```js\na **b**\n```\nc')).toEqual(['code mark: ```js\n', 'code: a **b**\n', 'code mark: ```\n']);
    expect(styled('- [ ] **a**\n> b\n\n## c')).toEqual([
      'mark: - [ ] **',
      'strong: a',
      'mark: **',
      'mark: > ',
      'mark: ## ',
      'strong: c'
    ]);
  });

  it('are none for plain and long texts', () => {
    for (const plain of ['Tide at six', '5 * 3 = 15', 'snake_case', 'a > b', '1.5 m'])
      expect(styled(plain), plain).toBeNull();
    expect(spansOf(`**${'a'.repeat(MAX_STYLED_CHARS)}**`, names)).toBeNull();
  });

  it('are exactly the text, whatever it is', () => {
    const isWhole = (text: string) => {
      const spans = spansOf(text, names);
      return spans === null || spans.map((span) => span.text).join('') === text;
    };
    for (const { name, text } of HOSTILE) expect(isWhole(text.slice(0, MAX_STYLED_CHARS)), name).toBe(true);
    const piece = fc.constantFrom(
      '**',
      '_',
      '`',
      '```',
      '~~',
      '[',
      '](',
      ')',
      '\n',
      '- ',
      '> ',
      '@Ada',
      '#',
      'a',
      ' ',
      '\\',
      'é',
      '😀',
      '$',
      '|'
    );
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => isWhole(pieces.join(''))));
  });
});
