// The libraries are large: import this module on demand only.
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';
import type { Score } from './strength-meter.svelte.ts';

/** Number of characters that are checked. Longer passwords are strong anyway, and the time of the check grows with the length. */
const MAX_CHECKED_CHARS = 64;

const guesser = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs, maxLength: MAX_CHECKED_CHARS });

/** Estimates the strength of a password, given personal data of its owner, and finds out whether it is in the list of common passwords. */
export function check(password: string, about: string[]): { score: Score; isCommon: boolean } {
  const known = about.flatMap((text) => [text, ...text.split(/[\s@.]+/)]).filter((text) => text.length > 2);
  const { score, sequence } = guesser.check(password, known);
  const [only] = sequence;
  const isCommon =
    sequence.length === 1 &&
    only?.pattern === 'dictionary' &&
    'dictionaryName' in only &&
    only.dictionaryName === 'passwords-common' &&
    !('l33t' in only && only.l33t) &&
    !('reversed' in only && only.reversed);
  return { score, isCommon };
}
