import { describe, expect, it } from 'vitest';
import { Pacer } from './stream-pacer.ts';

const FRAME = 1_000 / 60;

function play(pacer: Pacer, text: string, frames: number): number[] {
  return Array.from({ length: frames }, (_, index) => pacer.advance(index * FRAME, text));
}

describe('Pacer', () => {
  it('does not replay existing text', () => {
    expect(new Pacer(5).advance(0, 'Hello world')).toBe(5);
  });

  it('smooths a large chunk and finishes soon', () => {
    const shown = play(new Pacer(0), 'x'.repeat(600), 120);
    const steps = shown.map((length, index) => length - (shown[index - 1] ?? 0));
    expect(Math.max(...steps)).toBeLessThan(60);
    expect(shown.at(-1)).toBe(600);
  });

  it('shows a short text within a second', () => {
    expect(play(new Pacer(0), 'A few words.', 60).at(-1)).toBe(12);
  });

  it('never splits a surrogate pair', () => {
    const text = '👍'.repeat(40);
    for (const length of play(new Pacer(0), text, 60)) expect(length % 2).toBe(0);
  });

  it('follows a text that restarts', () => {
    const pacer = new Pacer(0);
    play(pacer, 'x'.repeat(100), 120);
    expect(pacer.advance(2_100, 'new')).toBe(3);
  });

  it('does not jump after a pause', () => {
    const pacer = new Pacer(0);
    pacer.advance(0, 'x'.repeat(1_000));
    expect(pacer.advance(60_000, 'x'.repeat(1_000))).toBeLessThan(800);
  });
});
