/** Whether the page is visible and focused; content counts as read only then. */
export function isPageVisible(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus();
}
