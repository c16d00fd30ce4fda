/** Pages of their own beside the rail; everywhere else there are the conversations. */
export function isBesideChats(pathname: string): boolean {
  return /^\/(settings|workspaces|admin|usage|plans)(\/|$)/.test(pathname);
}

/** Pages beside the list of conversations that have a title of their own. */
export function hasOwnTitle(route: string | null): boolean {
  return route !== null && /^\/\(app\)\/(channels|assistants|prompts)(\/|$)/.test(route);
}
