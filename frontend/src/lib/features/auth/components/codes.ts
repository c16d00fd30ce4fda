/** What was typed as the six digits of an authenticator app; apps show them in groups, and people type them so. */
export function codeOf(text: string): string | undefined {
  const digits = text.replaceAll(/[\s-]/g, '');
  return /^\d{6}$/.test(digits) ? digits : undefined;
}

/** What was typed as a recovery code, without the spaces around and in it. */
export function recoveryCodeOf(text: string): string | undefined {
  return text.replaceAll(/\s/g, '') || undefined;
}
