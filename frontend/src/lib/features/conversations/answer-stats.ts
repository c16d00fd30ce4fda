/** Formats the statistics of an answer. */
import type { AnswerFacts } from '#lib/api/assistants.ts';
import { formatCredits } from '#lib/i18n/credits.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

/** Formats a duration: “< 0.1 s”, “1.2 s”, “11 s”, “2 min 5 s”. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (seconds < 0.05) return m.facts_seconds({ count: `< ${number(0.1, 1)}` });
  if (seconds < 10) return m.facts_seconds({ count: number(seconds, 1) });
  const whole = Math.round(seconds);
  if (whole < 60) return m.facts_seconds({ count: number(whole, 0) });
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  return rest === 0 ? m.time_minutes({ count: minutes }) : m.facts_minutes({ minutes, seconds: rest });
}

/** Text with the time for which the model has thought; without a number if it is below a second. */
export function thoughtFor(milliseconds: number): string {
  return milliseconds < 1_000 ? m.thought_moment() : m.thought_for({ time: duration(milliseconds) });
}

/** Formats a number of tokens: “486 tokens”, “1 token”. */
export function inTokens(count: number): string {
  return count === 1 ? m.facts_tokens_one() : m.facts_tokens({ count: number(count) });
}

/** Summarises cost and duration of an answer in one line: “0.9 credits, 11 s”. */
export function summary({ cost, duration_ms, output_tokens }: AnswerFacts): string {
  const price = cost === null ? null : formatCredits(cost);
  const size = cost === null && output_tokens !== null ? inTokens(output_tokens) : null;
  return [price ?? size, duration(duration_ms)].filter((part) => part !== null).join(', ');
}
