/** Creates form fields for the arguments of a tool from their JSON schema. */
import { m } from '#lib/paraglide/messages.js';

type Json = Record<string, unknown>;

export type FieldKind = 'line' | 'lines' | 'number' | 'choice' | 'list' | 'json';

export interface ToolField {
  readonly name: string;
  readonly label: string;
  readonly about: string | undefined;
  readonly kind: FieldKind;
  readonly isRequired: boolean;
  /** Options of the field, each with its label and value. */
  readonly options: readonly (readonly [text: string, value: unknown])[];
  readonly schema: Json;
}

/** Maximum number of fields. If a schema has more, the arguments are edited as JSON. */
const MAX_FIELDS = 24;
const MAX_CHOICES = 50;
const LONG = 80;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Parses the arguments of a call; null if they aren't a JSON object. */
export function readArguments(json: string): Json | null {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Value of an argument. Inherited properties such as `constructor` don't count. */
export function givenOf(given: Json, name: string): unknown {
  return Object.hasOwn(given, name) ? given[name] : undefined;
}

/** Returns the fields; null if they can't express the arguments, so that these must be edited as JSON. */
export function fieldsOf(schema: unknown, given: Json): ToolField[] | null {
  const known = isObject(schema) && isObject(schema.properties) ? schema.properties : null;
  if (known === null || !isObject(schema)) return null;
  const required = Array.isArray(schema.required) ? schema.required : [];
  // Required arguments come first: the server doesn't keep the order of the schema.
  const names = [...new Set([...Object.keys(known), ...Object.keys(given)])].toSorted(
    (a, b) => Number(required.includes(b)) - Number(required.includes(a))
  );
  if (names.length === 0 || names.length > MAX_FIELDS) return null;
  return names.map((name) => toField(name, givenOf(known, name), givenOf(given, name), required.includes(name)));
}

function toField(name: string, described: unknown, value: unknown, isRequired: boolean): ToolField {
  const schema = isObject(described) ? withoutNull(described) : {};
  const title = typeof schema.title === 'string' && schema.title.trim();
  const about = typeof schema.description === 'string' ? schema.description : undefined;
  const options = optionsOf(schema);
  const kind = kindOf(schema, value, options.length > 0);
  return { name, label: title || name, about, kind, isRequired, options, schema };
}

/** Removes null from the types of a schema, because an empty field stands for null or an absent value. */
function withoutNull(schema: Json): Json {
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== 'null');
    return types.length === 1 ? { ...schema, type: types[0] } : schema;
  }
  const ways = schema.anyOf ?? schema.oneOf;
  if (!Array.isArray(ways)) return schema;
  const others = ways.filter((way) => !(isObject(way) && way.type === 'null'));
  const { anyOf: _anyOf, oneOf: _oneOf, ...rest } = schema;
  return others.length === 1 && isObject(others[0]) ? { ...others[0], ...rest } : schema;
}

function optionsOf(schema: Json): ToolField['options'] {
  if (schema.type === 'boolean') {
    return [
      [m.tool_yes(), true],
      [m.tool_no(), false]
    ];
  }
  const { enum: values } = schema;
  const isChoice = Array.isArray(values) && values.length <= MAX_CHOICES && values.every((one) => !isObject(one));
  return isChoice ? values.map((one) => [String(one), one] as const) : [];
}

function kindOf(schema: Json, value: unknown, hasOptions: boolean): FieldKind {
  const { type, items } = schema;
  if (hasOptions) return 'choice';
  if ((type === 'number' || type === 'integer') && fits(value, 'number')) return 'number';
  if (type === 'string' && fits(value, 'string')) return isLong(schema, value) ? 'lines' : 'line';
  const isList = type === 'array' && isObject(items) && items.type === 'string' && !('enum' in items);
  return isList && (isEmpty(value) || isLines(value)) ? 'list' : 'json';
}

const isEmpty = (value: unknown) => value === undefined || value === null;
const fits = (value: unknown, type: 'string' | 'number') => isEmpty(value) || typeof value === type;
/** Whether a value is a list of texts in one line, which are edited one per line. */
const isLines = (value: unknown) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' && one.trim() !== '' && !one.includes('\n'));

function isLong(schema: Json, value: unknown): boolean {
  const text = typeof value === 'string' ? value : '';
  const isShort = typeof schema.maxLength === 'number' && schema.maxLength <= LONG;
  return !isShort && (text.length > LONG || text.includes('\n'));
}

/** Text with which a field starts. */
export function textOf({ kind, options }: ToolField, value: unknown): string {
  if (value === undefined) return '';
  switch (kind) {
    case 'choice': {
      const at = options.findIndex(([, option]) => option === value);
      return at === -1 ? '' : String(at);
    }
    case 'list':
      return Array.isArray(value) ? value.join('\n') : '';
    case 'json':
      return JSON.stringify(value, null, 2);
    default:
      return value === null ? '' : String(value);
  }
}

/** Returns a message about an invalid value. Only simple rules are checked here; the server checks the whole schema. */
export function problemOf({ kind, isRequired, schema }: ToolField, typed: string): string | undefined {
  const text = typed.trim();
  if (text === '') return isRequired && !mayBeEmpty(kind, schema) ? m.tool_field_missing() : undefined;
  if (kind === 'json' && parsed(text) === undefined) return m.tool_field_json();
  if (kind === 'number') return numberProblem(schema, text);
  const { minLength: least, maxLength: most } = schema;
  if (kind !== 'line' && kind !== 'lines') return undefined;
  if (typeof least === 'number' && [...typed].length < least) return m.tool_field_short({ least });
  if (typeof most !== 'number' || [...typed].length <= most) return undefined;
  return most === 1 ? m.tool_field_long_one() : m.tool_field_long({ most });
}

function mayBeEmpty(kind: FieldKind, schema: Json): boolean {
  if (kind === 'list') return !(typeof schema.minItems === 'number' && schema.minItems > 0);
  return (kind === 'line' || kind === 'lines') && !(typeof schema.minLength === 'number' && schema.minLength > 0);
}

function numberProblem({ type, minimum, maximum }: Json, text: string): string | undefined {
  const value = Number(text);
  if (!Number.isFinite(value)) return m.tool_field_number();
  if (type === 'integer' && !Number.isInteger(value)) return m.tool_field_integer();
  if (typeof minimum === 'number' && value < minimum) return m.tool_field_least({ least: minimum });
  return typeof maximum === 'number' && value > maximum ? m.tool_field_most({ most: maximum }) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Creates the arguments from the fields. Optional fields that are empty stay absent. */
export function argumentsOf(fields: readonly ToolField[], typed: Record<string, string>, before: Json): Json {
  const made: [string, unknown][] = [];
  for (const field of fields) {
    const value = valueOf(field, typed[field.name] ?? '', givenOf(before, field.name));
    if (value !== undefined) made.push([field.name, value]);
  }
  return Object.fromEntries(made);
}

function valueOf(field: ToolField, typed: string, before: unknown): unknown {
  const { kind, isRequired, options } = field;
  // An unchanged value isn't parsed again, so that it stays exactly the same.
  if (before !== undefined && typed === textOf(field, before)) return before;
  const isLine = kind === 'line' || kind === 'lines';
  if (typed.trim() === '') {
    if (before === null) return null;
    if (kind === 'list') return isRequired ? [] : undefined;
    return isLine && (isRequired || typed !== '') ? typed : undefined;
  }
  switch (kind) {
    case 'choice':
      return options[Number(typed)]?.[1];
    case 'number':
      return Number(typed);
    case 'list':
      return typed
        .split('\n')
        .map((one) => one.trim())
        .filter((one) => one !== '');
    case 'json':
      return parsed(typed.trim());
    default:
      return typed;
  }
}
