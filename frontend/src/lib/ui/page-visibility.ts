/** Whether the page is visible and has the focus. Only then its content counts as read. */
export function isPageVisible(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus();
}
