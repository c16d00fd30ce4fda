import { describe, expect, it } from 'vitest';
import { snippet } from './snippet.ts';

const shown = (content: string, highlights: number[][] = []) =>
  snippet(content, highlights)
    .map(({ text, isFound }) => (isFound ? `[${text}]` : text))
    .join('');

describe('snippet', () => {
  it('highlights matches without Markdown', () => {
    expect(shown('The **dashboard** is late', [[6, 9]])).toBe('The [dashboard] is late');
    expect(
      shown('dash and dash', [
        [0, 4],
        [9, 4]
      ])
    ).toBe('[dash] and [dash]');
    expect(shown('nothing marked')).toBe('nothing marked');
  });

  it('starts near the first match', () => {
    const text = `${'far away '.repeat(40)}heron ${'and on '.repeat(80)}`;
    const cut = shown(text, [[360, 5]]);
    expect(cut.startsWith('…')).toBe(true);
    expect(cut).toContain('[heron]');
    expect(cut.length).toBeLessThan(320);
    expect(cut.endsWith('…')).toBe(true);
  });

  it('tolerates ranges outside the text', () => {
    expect(shown('short', [[2, 90]])).toBe('short');
    expect(shown('\uE000trick\uE001', [[1, 5]])).toBe('[trick]');
  });
});
