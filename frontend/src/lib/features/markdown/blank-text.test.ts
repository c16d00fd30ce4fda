import { expect, it } from 'vitest';
import { isBlank, withoutControls } from './blank-text.ts';

// The server's tests in `crates/appcore/src/text_field.rs` have the same cases.
it.each([
  '',
  ' \n\t\u3000',
  '\u200b',
  '\ufeff \u2060',
  '\u200d\ufe0f',
  '\u202e\u2066',
  '\u00ad\u034f\u061c',
  '\u115f\u1160\u3164\uffa0',
  '\u2800',
  '\u{e0041}\u{e007f}\u{e0100}'
])('%j is blank', (text) => expect(isBlank(text)).toBe(true));

it.each(['.', '\u200ba', 'ㄱ', '⠁', '👩\u200d💻', '\u0301', '\u06dd', '\uf8ff', '\u{1fae0}', '\u{1fbff}'])(
  '%j is not blank',
  (text) => expect(isBlank(text)).toBe(false)
);

it.each([
  ['a\u0000b\u0007\tc\u007f \u200d😀', 'ab\tc \u200d😀'],
  ['a\r\nb\rc\vd\fe\u0085f', 'a\nb\nc\nd\ne\nf'],
  ['\u001b[32mok\u001b[0m', 'ok'],
  ['\u001b[1;38:5:1ma\u001b[Kb', 'ab'],
  ['\u001bb\u001b[1', 'b[1'],
  ['\u001b[1\nb', '[1\nb']
])('%j is sent without control characters except tabs and line breaks', (text, sent) => {
  expect(withoutControls(text)).toBe(sent);
});
