import { describe, expect, it } from 'vitest';
import { appendThought, type Thoughts } from './thoughts.ts';

const piece = (offset: number, text: string) => ({ message_id: 'm1', offset, text });
const all = (...pieces: [number, string][]) =>
  pieces.reduce<Thoughts | undefined>((have, [offset, text]) => appendThought(have, piece(offset, text), 7), undefined);

describe('model reasoning', () => {
  it('is assembled without duplicates', () => {
    expect(all([0, 'Let '], [4, 'me '], [4, 'me '], [7, 'see 👍'])).toEqual({
      text: 'Let me see 👍',
      end: 13,
      since: 7
    });
  });

  it('marks missing parts', () => {
    expect(all([4, 'me '], [7, 'see'])?.text).toBe('…me see');
    expect(all([0, 'Let '], [7, 'see'])?.text).toBe('Let …see');
  });

  it('restarts with a chunk at offset zero', () => {
    expect(all([0, 'First try'], [0, 'Second'])).toEqual({ text: 'Second', end: 6, since: 7 });
  });
});
