import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PHONE } from './phone.ts';

const SOURCES = join(import.meta.dirname, '../..');

it('uses one media query everywhere', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(css|svelte|ts)$/.test(file)
  );
  const texts = new Map(files.map((file) => [file, readFileSync(join(SOURCES, file), 'utf8')]));
  const styled = [...texts.values()].filter((text) => text.includes(`@media ${PHONE} {`));
  expect(styled.length).toBeGreaterThan(50);
  const otherwise = [...texts].filter(([file, text]) => {
    if (file === join('lib', 'util', 'phone.test.ts')) return false;
    return /max-width: 760px(?!;)|max-\[760px\]/.test(text.replaceAll(PHONE, ''));
  });
  expect(otherwise.map(([file]) => file)).toEqual([]);
});
