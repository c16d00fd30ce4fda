import { describe, expect, it } from 'vitest';
import { completingAt } from './completion.ts';

const at = (text: string) => completingAt(text, text.length);

describe('completingAt', () => {
  it('completes an emoji from its second letter on', () => {
    expect(at('Well :ta')).toEqual({ sign: ':', at: 5, query: 'ta', end: 8 });
    expect(at(':+1')?.query).toBe('+1');
    expect(at(':tada:')?.query).toBe('tada:');
    expect(at('(:cười')?.query).toBe('cười');
    expect(at('+:tad')).toEqual({ sign: ':', at: 1, query: 'tad', end: 5 });
    for (const text of [':t', ':)', 'at 12:30', 'http://a', 'a:bc', ':ta ', '::ta', '1+:ta'])
      expect(at(text), text).toBeNull();
  });

  it('completes a channel from # on', () => {
    expect(at('see #')).toEqual({ sign: '#', at: 4, query: '', end: 5 });
    expect(at('#gen')).toEqual({ sign: '#', at: 0, query: 'gen', end: 4 });
    for (const text of ['# Title', '##', 'issue#1', '# ']) expect(at(text), text).toBeNull();
  });

  it('looks only at the text before the caret', () => {
    expect(completingAt('a :tad b', 6)).toEqual({ sign: ':', at: 2, query: 'tad', end: 6 });
  });
});
