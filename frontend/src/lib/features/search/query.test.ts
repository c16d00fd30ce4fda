import { describe, expect, it } from 'vitest';
import { asText, pendingIn, extractChips, wordsOf } from './query.ts';

describe('takeChips', () => {
  it('takes an operator when a space follows it', () => {
    expect(extractChips('from:anna')).toEqual({ chips: [], rest: 'from:anna' });
    expect(extractChips('from:@anna plan')).toEqual({ chips: [{ op: 'from', value: 'anna' }], rest: 'plan' });
    expect(extractChips('plan in:#general ')).toEqual({ chips: [{ op: 'in', value: 'general' }], rest: 'plan ' });
  });

  it('takes all of them when nothing more is typed', () => {
    expect(extractChips('a before:2026-11 has:files is:pinned', true)).toEqual({
      chips: [
        { op: 'before', value: '2026-11' },
        { op: 'has', value: 'file' },
        { op: 'is', value: 'pinned' }
      ],
      rest: 'a '
    });
  });

  it('takes names with spaces when their quotation mark is closed', () => {
    expect(extractChips('from:"Anna Be')).toEqual({ chips: [], rest: 'from:"Anna Be' });
    expect(extractChips('from:"Anna Berg"')).toEqual({ chips: [{ op: 'from', value: 'Anna Berg' }], rest: '' });
  });

  it('takes what phones and wide keyboards write', () => {
    expect(extractChips('from:“Anna Berg”')).toEqual({ chips: [{ op: 'from', value: 'Anna Berg' }], rest: '' });
    expect(extractChips('has：file “good day”')).toEqual({ chips: [{ op: 'has', value: 'file' }], rest: '"good day"' });
    expect(extractChips('“good day”')).toEqual({ chips: [], rest: '“good day”' });
  });

  it('leaves what only looks like one', () => {
    for (const text of [
      'https://example.org ',
      'has:nothing ',
      'before:soon ',
      'note: this ',
      'xfrom:a ',
      'a:b ',
      'from: '
    ]) {
      expect(extractChips(text, true)).toEqual({ chips: [], rest: text });
    }
  });
});

describe('pendingIn', () => {
  it('is the operator at the end', () => {
    expect(pendingIn('plan from:an')).toEqual({ op: 'from', value: 'an', from: 5 });
    expect(pendingIn('in:')).toEqual({ op: 'in', value: '', from: 0 });
    expect(pendingIn('from:"Anna B')).toEqual({ op: 'from', value: 'Anna B', from: 0 });
    expect(pendingIn('from:“Anna B')).toEqual({ op: 'from', value: 'Anna B', from: 0 });
    expect(pendingIn('from:anna ')).toBeNull();
    expect(pendingIn('plain words')).toBeNull();
  });
});

it('writes what the server reads', () => {
  const chips = [
    { op: 'from', value: 'Anna Berg' },
    { op: 'in', value: 'general', id: 'x' },
    { op: 'has', value: 'file' }
  ] as const;
  expect(asText(chips, ' plan ')).toBe('from:"Anna Berg" has:file plan');
});

it('knows the words', () => {
  expect(wordsOf('"good morning" dash* -late')).toBe('good morning dash');
});
