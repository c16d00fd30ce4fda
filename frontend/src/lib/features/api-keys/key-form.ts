/** Functions that the forms for a new key and for an existing one share. */
import type {
  BudgetLimit,
  BudgetPeriod,
  EndUserSource,
  GatewayEndpoint,
  GatewayPass
} from '#lib/features/gateway/api.ts';
import type { ApiKey, KeyPolicy } from '#lib/features/auth/api.ts';
import { formatEditableCredits, microOf } from '#lib/i18n/amounts.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

/** Lists of budgets of parts of a key's calls. Their form values are JSON. */
export type BudgetListField = 'end_user_budgets' | 'model_budgets' | 'tag_budgets';

export type KeyField =
  'name' | 'scopes' | 'models' | 'budget' | 'end_user_budget' | BudgetListField | 'rpm' | 'tpm' | 'parallel';

/** Budget of a part of a key's calls, as it is edited. */
export interface BudgetRow {
  name: string;
  amount: string;
  period: BudgetPeriod;
}

/** Models and endpoints that a key may use; empty lists allow all of them. `passthrough`: null for everything that the provider's settings allow. */
export interface KeyReach {
  models: string[];
  endpoints: GatewayEndpoint[];
  passthrough: GatewayPass[] | null;
  end_users: EndUserSource;
}

/** Periods of the budgets of a key and of each of its end users. */
export interface KeyPeriods {
  budget: BudgetPeriod;
  end_user_budget: BudgetPeriod;
}

export const ENDPOINTS = [
  { value: 'chat', path: '/v1/chat/completions' },
  { value: 'responses', path: '/v1/responses' },
  { value: 'messages', path: '/v1/messages' },
  { value: 'embeddings', path: '/v1/embeddings' },
  { value: 'transcriptions', path: '/v1/audio/transcriptions' },
  { value: 'completions', path: '/v1/completions' },
  { value: 'images', path: '/v1/images' },
  { value: 'speech', path: '/v1/audio/speech' },
  { value: 'translations', path: '/v1/audio/translations' },
  { value: 'rerank', path: '/v1/rerank' },
  { value: 'moderations', path: '/v1/moderations' },
  { value: 'files', path: '/v1/files' },
  { value: 'batches', path: '/v1/batches' },
  { value: 'gemini', path: '/v1beta' },
  { value: 'ollama', path: '/api' }
] as const satisfies readonly { value: GatewayEndpoint; path: string }[];

export const PASSES = [
  'models',
  'route',
  'provider',
  'plugins',
  'transforms',
  'web_search_options',
  'service_tier',
  'speed',
  'inference_geo',
  'store',
  'fast-mode',
  'files-api',
  'hosted_tools'
] as const satisfies readonly GatewayPass[];

export type PassthroughChoice = 'all' | 'none' | 'some';

export function passthroughChoices(): { value: PassthroughChoice; label: string }[] {
  return [
    { value: 'all', label: m.key_passes_all() },
    { value: 'none', label: m.key_passes_none() },
    { value: 'some', label: m.key_passes_some() }
  ];
}

export function endUserSources(): { value: EndUserSource; label: string }[] {
  return [
    { value: 'body', label: m.key_end_users_body() },
    { value: 'headers', label: m.key_end_users_headers() }
  ];
}

export function passthroughChoice(passthrough: readonly GatewayPass[] | null): PassthroughChoice {
  if (passthrough === null) return 'all';
  return passthrough.length === 0 ? 'none' : 'some';
}

export function periods(): { value: BudgetPeriod; label: string }[] {
  return [
    { value: 'day', label: m.budget_day() },
    { value: 'week', label: m.budget_week() },
    { value: 'month', label: m.budget_month() },
    { value: 'none', label: m.budget_never() }
  ];
}

/** Highest value that the server accepts for a limit. */
const MAX_LIMIT = 1_000_000_000;
const MAX_PARALLEL = 100_000;

export const problems: Record<KeyField, (value: string) => string | undefined> = {
  name: (value) => (value.trim() === '' ? m.name_missing() : undefined),
  scopes: (value) => (value === '' ? m.scope_missing() : undefined),
  models: () => undefined,
  budget: budgetProblem,
  end_user_budget: budgetProblem,
  end_user_budgets: rowsProblem,
  model_budgets: rowsProblem,
  tag_budgets: rowsProblem,
  rpm: (value) => limitProblem(value, MAX_LIMIT),
  tpm: (value) => limitProblem(value, MAX_LIMIT),
  parallel: (value) => limitProblem(value, MAX_PARALLEL)
};

function budgetProblem(value: string): string | undefined {
  return value.trim() !== '' && !microOf(value) ? m.key_budget_wrong() : undefined;
}

export function budgetRows(value: string): BudgetRow[] {
  return JSON.parse(value) as BudgetRow[];
}

function rowsProblem(value: string): string | undefined {
  const rows = budgetRows(value);
  const names = rows.map(({ name }) => name.trim());
  if (names.includes('')) return m.key_part_missing();
  if (new Set(names).size < names.length) return m.key_part_twice();
  return rows.some(({ amount }) => !microOf(amount)) ? m.key_budget_wrong() : undefined;
}

function rowsOf(budgets: Readonly<Record<string, BudgetLimit>> = {}): string {
  const rows = Object.entries(budgets).map(([name, { limit, period }]) => ({
    name,
    amount: formatEditableCredits(limit),
    period
  }));
  return JSON.stringify(rows);
}

function budgetsOf(value: string): Record<string, BudgetLimit> {
  return Object.fromEntries(
    budgetRows(value).map(({ name, amount, period }) => [name.trim(), { limit: microOf(amount) ?? 0, period }])
  );
}

function limitProblem(value: string, most: number): string | undefined {
  const text = value.trim();
  if (text === '') return undefined;
  if (!/^[1-9]\d*$/.test(text)) return m.key_limit_wrong();
  return Number(text) > most ? m.key_limit_most({ most: number(most) }) : undefined;
}

export function valuesOf(key: ApiKey | undefined): Record<KeyField, string> {
  return {
    name: key?.name ?? '',
    scopes: key?.scopes.join(' ') ?? 'read',
    models: '',
    budget: formatEditableCredits(key?.budget?.limit),
    end_user_budget: formatEditableCredits(key?.end_user_budget?.limit),
    end_user_budgets: rowsOf(key?.end_user_budgets),
    model_budgets: rowsOf(key?.model_budgets),
    tag_budgets: rowsOf(key?.tag_budgets),
    rpm: String(key?.rpm ?? ''),
    tpm: String(key?.tpm ?? ''),
    parallel: String(key?.parallel ?? '')
  };
}

export function policyOf(values: Record<KeyField, string>, reach: KeyReach, periods: KeyPeriods): KeyPolicy {
  const limit = (text: string) => (text.trim() === '' ? null : Number(text));
  const budget = (field: keyof KeyPeriods) => {
    const limit = microOf(values[field]);
    return limit === null ? null : { limit, period: periods[field] };
  };
  return {
    ...reach,
    rpm: limit(values.rpm),
    tpm: limit(values.tpm),
    parallel: limit(values.parallel),
    budget: budget('budget'),
    end_user_budget: budget('end_user_budget'),
    end_user_budgets: budgetsOf(values.end_user_budgets),
    model_budgets: budgetsOf(values.model_budgets),
    tag_budgets: budgetsOf(values.tag_budgets)
  };
}
