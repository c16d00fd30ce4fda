import { describe, expect, it } from 'vitest';
import { isOff, lengthOf, splitEmoji } from './command-text.ts';

describe('command arguments', () => {
  it('parse durations', () => {
    expect(['30', '30m', '30 min', '45 minutes'].map(lengthOf)).toEqual([1_800_000, 1_800_000, 1_800_000, 2_700_000]);
    expect(['2h', '2 hours', '1d'].map(lengthOf)).toEqual([7_200_000, 7_200_000, 86_400_000]);
    expect(['', '0', 'soon', '2 weeks', '-1h', '999999d'].map(lengthOf)).toEqual([null, null, null, null, null, null]);
    expect([isOff(' OFF '), isOff('tắt'), isOff('of')]).toEqual([true, true, false]);
  });

  it('parse a status with a leading emoji', () => {
    expect(splitEmoji('🌴 On holiday')).toEqual({ emoji: '🌴', text: 'On holiday' });
    expect(splitEmoji('👩🏽‍💻')).toEqual({ emoji: '👩🏽‍💻', text: null });
    expect(splitEmoji('Lunch 🍜')).toEqual({ emoji: null, text: 'Lunch 🍜' });
  });
});
