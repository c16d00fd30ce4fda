/** Length in UTF-16 units from which a text always fills the field, so that it needn't be measured. */
export const MAX_GROWN_CHARS = 6_000;

/** Changes the height of a text area to that of its content. */
export function growField(field: HTMLTextAreaElement): void {
  const { length } = field.value;
  if (length > MAX_GROWN_CHARS) {
    field.style.height = '100dvh';
    return;
  }
  field.style.height = '0';
  // An empty field has the minimum height and needn't be measured.
  if (length > 0) field.style.height = `${field.scrollHeight}px`;
}
