import { Linter, type Rule } from 'eslint';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import ts from 'typescript-eslint';
import { featureBoundaries } from './feature-boundaries.mjs';

const SRC = join(import.meta.dirname, '../src');

/** What the rule says of a module of that path. */
function problemsOf(path: string, code: string) {
  const linter = new Linter({ cwd: join(SRC, '..') });
  const config = {
    files: ['**/*.ts'],
    languageOptions: { parser: ts.parser as Linter.Parser },
    plugins: { natter: { rules: { 'feature-boundaries': featureBoundaries as unknown as Rule.RuleModule } } },
    rules: { 'natter/feature-boundaries': 'error' as const }
  };
  return linter.verify(code, config, join(SRC, path)).map(({ message }) => message);
}

it('lets others use what stands at the top of a feature', () => {
  const code = `import { Quota } from '#lib/features/billing/quota.svelte.ts';
const open = () => import('#lib/features/billing/checkout.svelte');`;
  expect(problemsOf('lib/features/boards/api.ts', code)).toEqual([]);
  expect(problemsOf('routes/+layout.ts', code)).toEqual([]);
  expect(problemsOf('lib/app/app.ts', code)).toEqual([]);
});

it('keeps the inner folders of a feature to itself', () => {
  const inner = '#lib/features/billing/logic/plans.ts';
  for (const code of [
    `import { price } from '${inner}';`,
    `import type { Plan } from '${inner}';`,
    `export * from '${inner}';`,
    `export { price } from '${inner}';`,
    `const open = () => import('${inner}');`,
    `type Plan = import('${inner}').Plan;`,
    `import { price } from '../billing/logic/plans.ts';`
  ]) {
    expect(problemsOf('lib/features/boards/api.ts', code), code).toHaveLength(1);
    expect(problemsOf('lib/features/billing/checkout.ts', code.replace('../billing', '.')), code).toEqual([]);
  }
});

it('keeps features out of what they share', () => {
  const [resource, value] = [
    `import type { Plan } from '#lib/features/billing/api.ts';`,
    `import { price } from '#lib/features/billing/api.ts';`
  ];
  expect(problemsOf('lib/api/openapi-overrides.ts', resource)).toEqual([]);
  expect(problemsOf('lib/api/openapi-overrides.ts', value)).toHaveLength(1);
  expect(problemsOf('lib/ui/time.ts', resource)).toHaveLength(1);
  expect(problemsOf('lib/ui/time.ts', `import { useApp } from '../app/app.ts';`)).toHaveLength(1);
  expect(problemsOf('lib/ui/time.ts', `import { m } from '../i18n/locale.ts'; import 'svelte';`)).toEqual([]);
});
