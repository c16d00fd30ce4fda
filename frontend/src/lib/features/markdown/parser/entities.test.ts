import { describe, expect, it } from 'vitest';
import { decodeEntities } from './entities.ts';
import { parse } from '../parse.ts';
import { plainText } from '../plain.ts';

it.each([
  ['&copy; &reg; &trade; &nbsp;', '© ® ™ \u00a0'],
  ['&euro;5 &pound;6 &cent;', '€5 £6 ¢'],
  ['&mdash; &ndash; &hellip; &bull; &laquo;&raquo;', '— – … • «»'],
  ['&larr; &rarr; &rArr; &harr;', '← → ⇒ ↔'],
  ['&auml;&szlig;&eacute;&ccedil;&Ntilde;&aring;&Oslash;', 'äßéçÑåØ'],
  ['&scaron;&Ccaron;&zcaron;&lstrok;&eogon;&odblac;', 'šČžłęő'],
  ['&alpha;&Omega;&mu;&Sigma;&sigmaf;&sigma;', 'αΩμΣςσ'],
  ['&le; &ge; &ne; &asymp; &times; &divide; &plusmn; &infin; &sum;', '≤ ≥ ≠ ≈ × ÷ ± ∞ ∑'],
  ['&frac12; x&sup2; H&deg;', '½ x² H°'],
  ['&check; &hearts; &starf;', '✓ ♥ ★'],
  ['&sdot; &odot; &amp;rarr;', '⋅ ⊙ &rarr;'],
  ['&#8212; &#x2014; &#X2014;', '— — —'],
  ['&lt;b&gt; &quot;&apos;&colon;&sol;', '<b> "\':/']
])('decodes %s', (source, shown) => {
  expect(decodeEntities(source)).toBe(shown);
});

it.each(['&', '&;', '&nosuchname;', '&Rarr', 'AT&T', '&copy', '?a=1&copy=2', '&#0;', '&#xd800;', '&#1114112;'])(
  'leaves %s',
  (source) => {
    expect(decodeEntities(source)).toBe(source);
  }
);

describe('in messages', () => {
  it('shows the characters, also in previews', () => {
    expect(plainText('A &rarr; B&hellip; caf&eacute;')).toBe('A → B… café');
    expect(plainText('| &le; |\n|---|\n| **&pi;** |')).toBe('≤ π');
  });

  it('leaves those in code', () => {
    expect(parse('`&rarr;`')).toEqual([{ type: 'paragraph', children: [{ type: 'code', text: '&rarr;' }] }]);
    expect(parse('```html\n&nbsp;\n```')).toEqual([{ type: 'code', language: 'html', text: '&nbsp;' }]);
    expect(parse('    &eacute;')).toEqual([{ type: 'code', language: null, text: '&eacute;' }]);
  });

  it('checks the targets of links after decoding', () => {
    expect(JSON.stringify(parse('[x](java&Tab;script&colon;alert(1))'))).not.toContain('"link"');
    expect(parse('[x](https://a.example "1 &rarr; 2")')).toMatchObject([
      { children: [{ type: 'link', title: '1 → 2' }] }
    ]);
  });
});
