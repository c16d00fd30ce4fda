import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iconOf } from '../../../scripts/slim.mjs';

const SRC = join(import.meta.dirname, '../..');
const ICONS = join(SRC, '../node_modules/@lucide/svelte/dist/icons');

it('is one element with its lines in it', () => {
  const icon = iconOf(readFileSync(join(ICONS, 'check.svelte'), 'utf8'));
  expect(icon).toMatch(/<svg [^>]* aria-hidden="true" class=\{look\}><path d="M20 6 9 17l-5-5" \/><\/svg>$/);
});

it('is drawn of every icon of the package', () => {
  for (const file of globSync(join(ICONS, '*.svelte'))) {
    const icon = iconOf(readFileSync(file, 'utf8'));
    // The inlined icon contains no Svelte syntax.
    expect(icon.split('class={look}')[1]).toMatch(/^>(<\w+( [\w-]+="[^"{}<>&]+")+ \/>)+<\/svg>$/);
  }
});

it('refuses a package that is built in another way', () => {
  expect(() => iconOf('<svg></svg>')).toThrow('built in another way');
});

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
