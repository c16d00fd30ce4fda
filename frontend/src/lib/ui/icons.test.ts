import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../..');

it('is drawn by the Icon component only', () => {
  const direct = globSync(join(SRC, '**/*.svelte')).flatMap((file) => {
    const code = readFileSync(file, 'utf8');
    const names = [...code.matchAll(/import (\w+) from '@lucide\/svelte\/icons\//g)].map(([, name]) => name);
    return names.flatMap((name) =>
      [...code.matchAll(new RegExp(`<${name}\\b[^<>]*>`, 'g'))].map(([tag]) => `${file}: ${tag}`)
    );
  });
  expect(direct).toEqual([]);
});
