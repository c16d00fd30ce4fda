/** Labels of tools and their calls. */
import type { ToolCall } from '#lib/api/tools.ts';
import { m } from '#lib/paraglide/messages.js';
import { duration } from '#lib/features/conversations/answer-stats.ts';

/** Length in characters at which the server truncates texts in messages. The call itself, requested by its id, has the whole text. */
const MAX_TEXT = 2_000;
const MAX_LINE = 120;

export interface Argument {
  readonly name: string;
  readonly value: string;
}

/** Name by which calls of Natter's own tools are recognised. */
export const OWN_SERVER = 'Natter';

/** Translated names of Natter's own tools. */
const OWN: Record<string, () => string> = {
  search_messages: m.tool_own_search,
  fetch_page: m.tool_own_fetch,
  calculate: m.tool_own_calculate
};

export function nameOf({ title, tool, server }: Pick<ToolCall, 'title' | 'tool'> & { server?: string }): string {
  const own = server === OWN_SERVER && OWN[tool];
  if (own) return own();
  if (title) return title;
  const words = tool.replaceAll(/[_-]+/g, ' ').trim();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

/** Arguments of a call with their names; null if the JSON is truncated. */
export function argumentsOf(json: string): Argument[] | null {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.entries(value).map(([name, one]) => ({ name, value: text(one) }));
  } catch {
    return null;
  }
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.every((one) => typeof one !== 'object');
  return isList ? value.join(', ') : JSON.stringify(value, null, 1);
}

/** Arguments of a call in one line. */
export function lineOf(json: string): string {
  const line = (argumentsOf(json)?.map(({ value }) => value) ?? [json]).join(', ').replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line;
}

export function isCut({ arguments: given, result }: ToolCall): boolean {
  return given.length >= MAX_TEXT || (result?.length ?? 0) >= MAX_TEXT;
}

export function stateOf({ status, duration_ms }: ToolCall): string {
  switch (status) {
    case 'done':
      return duration_ms === null ? m.tool_done() : duration(duration_ms);
    case 'waiting':
      return m.tool_needs_approval();
    case 'queued':
      return m.tool_queued();
    case 'running':
      return m.tool_running();
    case 'failed':
      return m.tool_failed();
    case 'unconnected':
      return m.tool_unconnected();
    case 'refused':
      return m.tool_refused();
    case 'expired':
      return m.tool_expired();
    case 'interrupted':
      return m.tool_interrupted();
    case 'stopped':
      return m.tool_stopped();
    default:
      return status;
  }
}
