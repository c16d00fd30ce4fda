/** Whether somebody has the page before them: what is shown counts as read only then. */
export function isPageVisible(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus();
}
