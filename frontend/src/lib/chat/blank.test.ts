import { expect, it } from 'vitest';
import { isBlank, withoutControls } from './blank.ts';

// As in `crates/appcore/src/line.rs`.
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
])('%j shows nothing', (text) => expect(isBlank(text)).toBe(true));

it.each(['.', '\u200ba', 'ㄱ', '⠁', '👩\u200d💻', '\u0301', '\u06dd', '\uf8ff', '\u{1fae0}', '\u{1fbff}'])(
  '%j shows something',
  (text) => expect(isBlank(text)).toBe(false)
);

it('control characters are left out of what is sent, but for tabs and line breaks', () => {
  expect(withoutControls('a\u0000b\u0007\tc\r\nd\u001b[0m\u007f\u0085 \u200d😀')).toBe('ab\tc\r\nd[0m \u200d😀');
});
