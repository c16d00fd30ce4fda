// Writes the calls that the app can make, of the server's description: by method and path, what goes along and what comes back. `npm run api`
// runs it after the types of the resources. It has a line for each endpoint, where operations of the types' generator take forty.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { description } from './openapi.mjs';

const BASE = '/r1';
const HEAD = `// This file is written by scripts/calls.mjs

import type { Cursor, Page } from '../types.ts';
import type * as T from '../openapi-overrides.ts';
`;

/** The text of the module that describes them. */
export function callsOf({ paths, components }) {
  const named = (thing) => ('$ref' in thing ? components[kindOf(thing)][nameOf(thing)] : thing);

  /** A list by the type of what is in it, for the app knows some of these more exactly. */
  function answerOf(schema) {
    const { allOf, properties } = named(schema);
    const [page, list] = allOf ?? [];
    if (page && nameOf(page) === 'Page') return `Page<${typeOf(list.properties.items.items)}>`;
    if (properties?.has_more && properties.items && Object.keys(properties).length === 2) {
      return `Cursor<${typeOf(properties.items.items)}>`;
    }
    return `T.${nameOf(schema)}`;
  }

  /** Nothing: it doesn't answer in the envelope. */
  function answersOf(responses) {
    const good = Object.entries(responses).flatMap(([status, response]) => (status < 300 ? [named(response)] : []));
    const schemas = good.map(({ content }) => content?.['application/json']?.schema).filter(isEnvelope);
    if (schemas.length < good.length) return [];
    return [...new Set(schemas.map(({ allOf }) => (allOf ? answerOf(allOf[1].properties.data) : 'void')))];
  }

  function callOf({ parameters = [], requestBody, responses }) {
    const answers = answersOf(responses);
    if (answers.length === 0) return undefined;
    const query = parameters.map(named).filter((parameter) => parameter.in === 'query');
    const fields = query.map(({ name, required, schema }) => `${name}${required ? '' : '?'}: ${typeOf(schema)}`);
    const body = requestBody?.content['application/json']?.schema;
    if (requestBody && !body) return undefined;
    return [
      fields.length > 0
        ? `query${query.some(({ required }) => required) ? '' : '?'}: { ${fields.join('; ')} }`
        : undefined,
      body ? `body${requestBody.required ? '' : '?'}: ${typeOf(body)}` : undefined,
      `answer: ${answers.join(' | ')}`
    ].filter(Boolean);
  }

  /** What is one of a few words is written out. */
  function pathsOf(path, { parameters = [] }) {
    return parameters.map(named).reduce(
      (found, parameter) => {
        if (parameter.in !== 'path') return found;
        const words = named(parameter.schema).enum ?? ['{}'];
        return found.flatMap((one) => words.map((word) => one.replace(`{${parameter.name}}`, word)));
      },
      [path]
    );
  }

  const calls = new Map();
  for (const [path, operations] of Object.entries(paths)) {
    if (!path.startsWith(`${BASE}/`)) continue;
    for (const [method, operation] of Object.entries(operations)) {
      const call = callOf(operation);
      if (!call) continue;
      const lines = pathsOf(path.slice(BASE.length), operation).map((one) => `    '${one}': { ${call.join('; ')} };`);
      calls.set(method.toUpperCase(), [...(calls.get(method.toUpperCase()) ?? []), ...lines]);
    }
  }
  const methods = [...calls].map(([method, lines]) => `  ${method}: {\n${lines.join('\n')}\n  };`);
  return `${HEAD}\n/** By method and path, where \`{}\` is what a call puts there. */\nexport interface Calls {\n${methods.join('\n')}\n}\n`;
}

/** Whether it is the schema that all successful answers have in common, or extends it. */
function isEnvelope(schema) {
  return nameOf(schema?.allOf?.[0] ?? schema ?? {}) === 'Success';
}

function kindOf({ $ref }) {
  return $ref.split('/').at(-2);
}

function nameOf({ $ref }) {
  return $ref?.split('/').at(-1);
}

const PLAIN = { integer: 'number', number: 'number', string: 'string', boolean: 'boolean', object: 'object' };

function typeOf(schema) {
  if (schema.$ref) return `T.${nameOf(schema)}`;
  if (schema.enum) return schema.enum.map((value) => `'${value}'`).join(' | ');
  const type = PLAIN[schema.type];
  if (!type) throw new Error(`What is a ${JSON.stringify(schema)}?`);
  return type;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(join(import.meta.dirname, '../src/lib/api/generated/calls.gen.ts'), callsOf(description()));
}
