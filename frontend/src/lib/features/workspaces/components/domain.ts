import { m } from '#lib/paraglide/messages.js';

/** Returns the domain in a typed or pasted text: “anna@Example.com” becomes “example.com”. */
export function domainOf(text: string): string {
  return text
    .trim()
    .toLocaleLowerCase('en')
    .replace(/^[a-z]+:\/\//, '')
    .replace(/^.*@/, '')
    .replace(/[/?#].*$/, '');
}

export function domainProblem(text: string): string | undefined {
  const labels = domainOf(text).split('.');
  const isDomain =
    labels.length > 1 && labels.every((label) => /^[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?$/u.test(label));
  return isDomain ? undefined : m.domain_invalid();
}
