/** Pages beside the rail; all others belong to conversations. */
export function isBesideChats(pathname: string): boolean {
  return /^\/(settings|workspaces|admin|usage|plans|tasks|notes|search|tools)(\/|$)/.test(pathname);
}

/** The search page belongs to the conversations. */
export function isSearch(pathname: string): boolean {
  return pathname === '/search';
}

/** Pages that set their own title. */
export function hasOwnTitle(route: string | null): boolean {
  return (
    route !== null && /^\/\(app\)\/(activity|channels|people|assistants|prompts|saved|shared|threads)(\/|$)/.test(route)
  );
}
