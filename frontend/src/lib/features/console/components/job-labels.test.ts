import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { jobName } from './job-labels.ts';

const CRATES = join(import.meta.dirname, '../../../../../../crates');

/** Kinds of jobs that the server declares, without those of its tests. */
function declaredKinds(): string[] {
  const files = readdirSync(CRATES, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.rs') && !file.startsWith('realtime')
  );
  return files.flatMap((file) => {
    const [source = ''] = readFileSync(join(CRATES, file), 'utf8').split('#[cfg(test)]');
    return [...source.matchAll(/const KIND: &'static str = "(\w+)";/g)].map(([, kind = '']) => kind);
  });
}

it('names each kind of job of the server', () => {
  const kinds = declaredKinds();
  expect(kinds).toContain('mail');
  expect(kinds.filter((kind) => jobName(kind) === kind)).toEqual([]);
});

it('shows a kind that only a newer server knows as it is', () => expect(jobName('fold_laundry')).toBe('fold_laundry'));
