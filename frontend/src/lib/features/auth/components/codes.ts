/** Normalises a TOTP code; apps show it in groups. */
export function codeOf(text: string): string | undefined {
  const digits = text.replaceAll(/[\s-]/g, '');
  return /^\d{6}$/.test(digits) ? digits : undefined;
}

/** Normalises a recovery code. */
export function recoveryCodeOf(text: string): string | undefined {
  return text.replaceAll(/\s/g, '') || undefined;
}
