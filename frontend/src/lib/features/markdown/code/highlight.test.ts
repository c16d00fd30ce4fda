import { describe, expect, it } from 'vitest';
import { highlight } from './highlight.ts';

describe('highlight', () => {
  it('colours a known language and loses no text', async () => {
    const code = 'fn main() { let x = "<b>"; } // done';
    const spans = await highlight('rs', code);
    expect(spans?.map((span) => span.text).join('')).toBe(code);
    expect(spans?.find((span) => span.text === '// done')?.className).toContain('hljs-comment');
  });

  it('leaves an unknown language and a very long text plain', async () => {
    expect(await highlight('klingon', 'x')).toBeNull();
    expect(await highlight('rust', 'x'.repeat(40_000))).toBeNull();
  });
});
