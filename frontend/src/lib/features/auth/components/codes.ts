/** Returns the digits of a typed TOTP code without spaces (apps show them in groups); undefined if it isn't one. */
export function codeOf(text: string): string | undefined {
  const digits = text.replaceAll(/[\s-]/g, '');
  return /^\d{6}$/.test(digits) ? digits : undefined;
}

/** Returns a typed recovery code in the server's format; undefined if it isn't one. */
export function recoveryCodeOf(text: string): string | undefined {
  return text.replaceAll(/\s/g, '') || undefined;
}
