/** Whether a page is shown instead of conversations, beside the rail. */
export function isBesideChats(pathname: string): boolean {
  return /^\/(settings|workspaces|admin|usage|plans|tasks|notes|search|tools)(\/|$)/.test(pathname);
}

/** Whether the page is the search, which belongs to the conversations. */
export function isSearch(pathname: string): boolean {
  return pathname === '/search';
}

/** Whether a page sets its title itself. */
export function hasOwnTitle(route: string | null): boolean {
  return (
    route !== null && /^\/\(app\)\/(activity|channels|people|assistants|prompts|saved|shared|threads)(\/|$)/.test(route)
  );
}
