import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../..');
const UNUSED = /@source not inline\('\{([^}]*)\}'\)/g;

const unused = new Set(
  [...readFileSync(join(SRC, 'app.css'), 'utf8').matchAll(UNUSED)].flatMap(([, names]) => names?.split(',') ?? [])
);

/** Classes in the markup of a component, without those that its own style defines. */
function classesOf(file: string): string[] {
  const code = readFileSync(join(SRC, file), 'utf8');
  const style = /<style>[^]*/.exec(code)?.[0] ?? '';
  const written = [...code.matchAll(/\bclass="([^"]*)"/g)].map(([, names]) => names);
  const chosen = [...code.matchAll(/\bclass=\{((?:[^{}]|\{[^{}]*\})*)\}/g)].flatMap(([, choice]) =>
    [...(choice ?? '').matchAll(/'([^']*)'/g)].map(([, names]) => names)
  );
  return [...written, ...chosen]
    .flatMap((names) => names?.split(/\s+/) ?? [])
    .filter((name) => !style.includes(`.${name}`));
}

it('builds every utility class that an element uses', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.svelte'));
  const missing = files.flatMap((file) =>
    classesOf(file)
      .filter((name) => unused.has(name))
      .map((name) => [file, name])
  );
  expect(unused).toContain('transition');
  expect(files).not.toEqual([]);
  expect(missing).toEqual([]);
});
