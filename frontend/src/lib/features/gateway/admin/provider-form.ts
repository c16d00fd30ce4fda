import { m } from '#lib/paraglide/messages.js';
import { parseUrl } from '#lib/util/parse-url.ts';

/** Allowed provider names. A name is part of URLs and of model names. */
const NAME = /^[a-z\d_-]{1,40}$/;

export function nameProblem(value: string): string | undefined {
  return NAME.test(value.trim()) ? undefined : m.provider_name_wrong();
}

/** Returns a message about an invalid base URL; undefined if it is valid. An empty value stands for the default URL of the provider's kind. */
export function baseUrlProblem(value: string): string | undefined {
  if (value.trim() === '') return undefined;
  const url = parseUrl(value.trim());
  return url && ['https:', 'http:'].includes(url.protocol) ? undefined : m.provider_url_wrong();
}

/** Splits a text with model names, which are separated by lines or commas. */
export function modelsOf(text: string): string[] {
  const names = text.split(/[\n,]/).map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))];
}

export function modelsProblem(text: string): string | undefined {
  const names = modelsOf(text);
  if (names.length === 0) return m.provider_models_missing();
  return names.some((name) => /\s/.test(name)) ? m.provider_models_wrong() : undefined;
}

export function limitProblem(value: string): string | undefined {
  return value.trim() === '' || limitOf(value) !== null ? undefined : m.provider_limit_wrong();
}

/** Parses a limit; null if it is empty or invalid. */
export function limitOf(value: string): number | null {
  const limit = Number(value.trim());
  return value.trim() !== '' && Number.isInteger(limit) && limit >= 1 && limit <= 1_000_000 ? limit : null;
}
