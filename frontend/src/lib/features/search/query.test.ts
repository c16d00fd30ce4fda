import { describe, expect, it } from 'vitest';
import { asText, pendingIn, extractChips, wordsOf } from './query.ts';

describe('extractChips', () => {
  it('extracts an operator followed by a space', () => {
    expect(extractChips('from:anna')).toEqual({ chips: [], rest: 'from:anna' });
    expect(extractChips('from:@anna plan')).toEqual({ chips: [{ op: 'from', value: 'anna' }], rest: 'plan' });
    expect(extractChips('plan in:#general ')).toEqual({ chips: [{ op: 'in', value: 'general' }], rest: 'plan ' });
  });

  it('extracts all operators at the end of typing', () => {
    expect(extractChips('a before:2026-11 has:files is:pinned', true)).toEqual({
      chips: [
        { op: 'before', value: '2026-11' },
        { op: 'has', value: 'file' },
        { op: 'is', value: 'pinned' }
      ],
      rest: 'a '
    });
  });

  it('extracts quoted names with spaces after the closing quote', () => {
    expect(extractChips('from:"Anna Be')).toEqual({ chips: [], rest: 'from:"Anna Be' });
    expect(extractChips('from:"Anna Berg"')).toEqual({ chips: [{ op: 'from', value: 'Anna Berg' }], rest: '' });
  });

  it('accepts typographic quotes and full-width characters', () => {
    expect(extractChips('from:“Anna Berg”')).toEqual({ chips: [{ op: 'from', value: 'Anna Berg' }], rest: '' });
    expect(extractChips('has：file “good day”')).toEqual({ chips: [{ op: 'has', value: 'file' }], rest: '"good day"' });
    expect(extractChips('“good day”')).toEqual({ chips: [], rest: '“good day”' });
  });

  it('leaves text that only resembles an operator', () => {
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
  it('finds the operator at the end', () => {
    expect(pendingIn('plan from:an')).toEqual({ op: 'from', value: 'an', from: 5 });
    expect(pendingIn('in:')).toEqual({ op: 'in', value: '', from: 0 });
    expect(pendingIn('from:"Anna B')).toEqual({ op: 'from', value: 'Anna B', from: 0 });
    expect(pendingIn('from:“Anna B')).toEqual({ op: 'from', value: 'Anna B', from: 0 });
    expect(pendingIn('from:anna ')).toBeNull();
    expect(pendingIn('plain words')).toBeNull();
  });
});

it('writes the query syntax of the server', () => {
  const chips = [
    { op: 'from', value: 'Anna Berg' },
    { op: 'in', value: 'general', id: 'x' },
    { op: 'has', value: 'file' }
  ] as const;
  expect(asText(chips, ' plan ')).toBe('from:"Anna Berg" has:file plan');
});

it('extracts the words of a query', () => {
  expect(wordsOf('"good morning" dash* -late')).toBe('good morning dash');
});
