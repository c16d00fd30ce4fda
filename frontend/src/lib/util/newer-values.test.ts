import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';

/** Source texts by their path below `src`. */
type Sources = ReadonlyMap<string, string>;

const MAP = /\bconst (\w+)(?:: ((?:[^=]|=>)+?))? = (?:\$derived\()?\{/g;
const READ = /(?<![\w.])(\w+)\[(?!['"\d])[^\]\n]/g;
const KEYS = /^(?:Readonly<)?Record<((?:[^,<]|<[^>]*>)+),/;

/** Path of the file that an import names. */
function fileOf(path: string, from: string): string {
  return path.startsWith('#lib/') ? join('lib', path.slice('#lib/'.length)) : normalize(join(dirname(from), path));
}

/** File from which a name is imported, and the name there; null if it isn't imported. */
function origin(text: string, name: string): [path: string, name: string] | null {
  for (const [, names = '', path = ''] of text.matchAll(/\bimport (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    for (const one of names.split(',')) {
      const [there = '', here = there] = one
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (here === name) return [path, there];
    }
  }
  return null;
}

/** Whether a type is defined by the API, so that a newer server may send other values. */
function isServers(type: string, file: string, sources: Sources): boolean {
  return [...type.matchAll(/(?<!['.\w])[A-Z]\w*/g)].some(([name]) => {
    const text = sources.get(file) ?? '';
    const from = origin(text, name);
    if (from) {
      const there = fileOf(from[0], file);
      return there.startsWith(join('lib', 'api')) || (sources.has(there) && isServers(from[1], there, sources));
    }
    const own = new RegExp(`\\btype ${name} =([^;]*);`).exec(text)?.[1];
    return own !== undefined && isServers(own.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), ''), file, sources);
  });
}

/** Maps that are indexed by values of the server without handling unknown ones. */
function unasked(sources: Sources): string[] {
  const maps = new Map<string, Map<string, string | undefined>>();
  for (const [file, text] of sources) {
    for (const [, name = '', type] of text.matchAll(MAP)) {
      const found = maps.get(name) ?? new Map<string, string | undefined>();
      maps.set(name, found.set(file, type));
    }
  }
  const wrong = new Set<string>();
  for (const [file, text] of sources) {
    for (const [, name = ''] of text.matchAll(READ)) {
      const from = origin(text, name);
      const place = from ? fileOf(from[0], file) : file;
      const declared = maps.get(from?.[1] ?? name);
      if (!declared?.has(place)) continue;
      const type = declared.get(place);
      const keys = type === undefined ? undefined : KEYS.exec(type)?.[1];
      if (type === undefined) wrong.add(`${file}: say what the keys of ${name} are: Record<…, …>`);
      else if (keys && isServers(keys, place, sources)) wrong.add(`${file}: read ${name} by #lib/util/enum-lookup.ts`);
    }
  }
  return [...wrong].toSorted();
}

it('finds maps of server values that are read without a fallback', () => {
  const sources: Sources = new Map([
    [
      'lib/words.ts',
      `import type { Role as R, State } from '#lib/api/types.ts';
       type Kind = Exclude<State['kind'], 'gone'>;
       type Own = 'a' | 'b';
       export const NAMES: Record<R, () => string> = { member: m.member };
       const KINDS: Readonly<Record<Kind, string>> = {};
       const OWN: Record<Own, string> = {};
       const ANY: Record<string, string> = {};
       const SOME: Partial<Record<R, string>> = {};
       const looks = $derived({ a: 1 });
       NAMES.member; NAMES['member']; KINDS[kind]; OWN[one]; ANY[one]; SOME[one]; looks[one];`
    ],
    ['lib/kinds.ts', `import { type State } from '#lib/api/types.ts';\nexport type Of = State['of'];`],
    [
      'lib/components/row.svelte',
      `import { NAMES as words } from '#lib/words.ts';
       import type { Of } from '../kinds.ts';
       const OF: Record<Of, string> = {};
       {words[member.role]()} {OF[of]}`
    ]
  ]);
  expect(unasked(sources)).toEqual([
    'lib/components/row.svelte: read OF by #lib/util/enum-lookup.ts',
    'lib/components/row.svelte: read words by #lib/util/enum-lookup.ts',
    'lib/words.ts: read KINDS by #lib/util/enum-lookup.ts',
    'lib/words.ts: say what the keys of looks are: Record<…, …>'
  ]);
});

it('has a fallback for unknown values wherever a map is read', () => {
  const root = join(import.meta.dirname, '../..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.(svelte|ts)$/.test(file) && !/\.test\.ts$|\bgenerated\b|\bparaglide\b/.test(file)
  );
  const sources: Sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  expect(sources.size).toBeGreaterThan(500);
  expect(unasked(sources)).toEqual([]);
});
