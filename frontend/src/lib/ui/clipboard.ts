/** Copies a text to the clipboard; returns false if the browser refuses. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Copies a text together with its HTML. Copies the text alone if the browser or the HTML fails. */
export async function copyFormatted(text: string, html: Promise<string>): Promise<boolean> {
  try {
    // The HTML is a promise, because browsers accept the call only while they handle the user's action.
    const formatted = html.then((written) => new Blob([written], { type: 'text/html' }));
    const plain = new Blob([text], { type: 'text/plain' });
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': plain, 'text/html': formatted })]);
    return true;
  } catch {
    return copyText(text);
  }
}

/** Copies by a selection. Used on pages without HTTPS, where the Clipboard API is missing. */
function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.style.cssText = 'position:fixed;opacity:0';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  return done;
}
