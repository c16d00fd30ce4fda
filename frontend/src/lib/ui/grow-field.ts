/** Longer texts always fill the field and need no measuring, in code units. */
export const MAX_GROWN_CHARS = 6_000;

/** Resizes a text area to its content. */
export function growField(field: HTMLTextAreaElement): void {
  const { length } = field.value;
  if (length > MAX_GROWN_CHARS) {
    field.style.height = '100dvh';
    return;
  }
  field.style.height = '0';
  // A single line has the minimum height and needs no measuring.
  if (length > 0) field.style.height = `${field.scrollHeight}px`;
}
