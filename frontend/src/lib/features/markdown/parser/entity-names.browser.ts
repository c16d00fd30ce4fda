/** Names of HTML entities, from the table of the browser. */
export function characterOf(name: string): string | undefined {
  const element = document.createElement('textarea');
  // The name consists of letters and digits, so it can't contain markup.
  element.innerHTML = `&${name};`;
  const { value } = element;
  // A browser also decodes old names without a semicolon, such as the start of `&notin2;`.
  return value.endsWith(';') && name !== 'semi' ? undefined : value;
}
