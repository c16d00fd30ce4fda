/** Labels and formats of console metrics. */
import { waitText } from '#lib/api/wait-labels.ts';
import type { FigureName, Figures, FiguresRange, Incident, IncidentKind } from '../api.ts';
import { clock, dateFormat } from '#lib/i18n/dates.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { credits } from '#lib/i18n/credits.ts';
import { count, tokens } from '#lib/i18n/amounts.ts';
import { lookUp } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

interface FigureStyle {
  name: () => string;
  format: (value: number) => string;
  /** Combination of the values of several steps: their sum, or the highest one (`most`). */
  union: 'sum' | 'most';
}

const millis = (value: number) => m.figure_ms({ count: count(value) });

export const FIGURES: Record<FigureName, FigureStyle> = {
  people: { name: m.figure_people, format: count, union: 'most' },
  connections: { name: m.figure_connections, format: count, union: 'most' },
  messages: { name: m.figure_messages, format: count, union: 'sum' },
  requests: { name: m.figure_requests, format: count, union: 'sum' },
  errors: { name: m.figure_errors, format: count, union: 'sum' },
  latency_ms: { name: m.figure_latency, format: millis, union: 'most' },
  jobs_waiting: { name: m.figure_jobs, format: count, union: 'most' },
  tokens: { name: m.figure_tokens, format: tokens, union: 'sum' },
  cost: { name: m.figure_cost, format: credits, union: 'sum' },
  failed_sign_ins: { name: m.figure_sign_ins, format: count, union: 'sum' }
};

/** Combines the values of the whole period into one. */
export function summary(name: FigureName, values: readonly (number | null)[]): number {
  const there = values.filter((value) => value !== null);
  if (lookUp(FIGURES, name)?.union === 'most') return Math.max(0, ...there);
  return there.reduce((sum, value) => sum + value, 0);
}

const LABELS: Record<FiguresRange, (time: Date) => string> = {
  '1h': (time) => clock(time),
  '24h': (time) => clock(time),
  // Each step is a day in UTC.
  '30d': (time) => dateFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' }).format(time)
};

/** Start of each step of the chart, with its label. */
export function timesOf({ from, step_seconds, range, series }: Figures): { key: string; label: string }[] {
  return (series[0]?.values ?? []).map((_, at) => {
    const time = new Date(Date.parse(from) + at * step_seconds * 1_000);
    return { key: time.toISOString(), label: (lookUp(LABELS, range) ?? clock)(time) };
  });
}

const INCIDENTS: Record<IncidentKind, { what: (of: { name: string }) => string; next: () => string }> = {
  database: { what: m.incident_database, next: m.incident_database_next },
  redis: { what: m.incident_redis, next: m.incident_redis_next },
  ai: { what: m.incident_ai, next: m.incident_ai_next },
  provider: { what: m.incident_provider, next: m.incident_ai_next },
  storage: { what: m.incident_storage, next: m.incident_storage_next },
  dead_letters: { what: m.incident_dead_letters, next: m.incident_dead_letters_next },
  instance: { what: m.incident_instance, next: () => '' }
};

/** Describes an incident and its remedy. Kinds that only a newer server knows are shown as they are. */
export function incidentWords({ kind, detail }: Incident): { what: string; next: string } {
  const words = lookUp(INCIDENTS, kind);
  return words ? { what: words.what({ name: detail ?? '' }), next: words.next() } : { what: kind, next: '' };
}

/** Short duration between two times, such as “12 s”, “5 min” or “3 hr”. */
export function lengthOf(from: string, to: string): string {
  const seconds = Math.max(1, (Date.parse(to) - Date.parse(from)) / 1_000);
  if (seconds < 2 * 3_600) return waitText(seconds);
  const format = new Intl.NumberFormat(getLocale(), { style: 'unit', unit: 'hour', maximumFractionDigits: 0 });
  return format.format(seconds / 3_600);
}

interface Amount {
  count: number;
  /** Count, formatted for display. */
  amount: string;
}

interface ImpactText {
  some: (impact: Amount) => string;
  none: () => string;
  people?: (people: Amount) => string;
}

const IMPACT_TEXTS: Record<IncidentKind, ImpactText> = {
  database: { some: m.felt_database, none: m.felt_nobody, people: m.felt_people_there },
  redis: { some: m.felt_redis, none: m.felt_nobody_late, people: m.felt_people_there },
  ai: { some: m.felt_ai, none: m.felt_nobody, people: m.felt_people_asked },
  provider: { some: m.felt_provider, none: m.felt_nobody },
  storage: { some: m.felt_storage, none: m.felt_nobody, people: m.felt_people_there },
  dead_letters: { some: m.felt_dead_letters, none: () => '' },
  instance: { some: m.felt_instance, none: m.felt_nobody_cut }
};

const amountOf = (value: number): Amount => ({ count: value, amount: count(value) });

/** Describes how an incident has affected users; empty if that wasn't measured. */
export function impactWords({ kind, impact, people, instances }: Incident): string {
  const words = lookUp(IMPACT_TEXTS, kind);
  // Without a second instance, events are delivered without Redis, so its outage has affected nobody.
  if (!words || typeof impact !== 'number' || (kind === 'redis' && instances < 2)) return '';
  if (impact === 0) return words.none();
  const concerned = people && words.people ? words.people(amountOf(people)) : '';
  return `${words.some(amountOf(impact))} ${concerned}`.trim();
}
